# Package.cmake - the .deb: what cmake --install puts below /usr, and the conffile below /etc. For
# scripts/package; included at the end of CMakeLists.txt.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_CONTACT "jobq <jobq@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "background jobs on PostgreSQL, written in Lua")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
  "Applications enqueue with SQL, inside their own transactions; jobq-run runs the jobs as Lua\n handlers, and jobq shows what happened and puts it right.")
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION database)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_CMAKE_PROJECTS
  "${CMAKE_BINARY_DIR};jobq;ALL;/;${CMAKE_BINARY_DIR};jobq;etc;/")

# Libraries by what the programs are linked with, which takes dpkg-dev: see scripts/package.
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "systemd | systemd-standalone-sysusers")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "postgresql-15, lua5.4, lua-busted")

set(deb ${CMAKE_SOURCE_DIR}/packaging/deb)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${deb}/postinst ${deb}/prerm ${deb}/postrm ${deb}/conffiles)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
include(CPack)
