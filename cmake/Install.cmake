# Install.cmake - what cmake --install puts where. Included at the end of CMakeLists.txt.
#
# Places are relative to the prefix and do not depend on it: a plain lua5.4 looks in lib/lua/5.4 and
# share/lua/5.4 of /usr and /usr/local, jobq finds its commands by ../share, and core.so its jobq-run
# by ../../../../bin. Component etc is for packages only: nobody's own /etc is written to.
set(made ${CMAKE_BINARY_DIR}/install)

install(CODE "
  execute_process(COMMAND \"${CMAKE_SOURCE_DIR}/scripts/install-texts\"
                          \"${CMAKE_BINARY_DIR}\" \"${made}\" COMMAND_ERROR_IS_FATAL ANY)
  configure_file(\"${CMAKE_SOURCE_DIR}/packaging/jobq.service.in\" \"${made}/jobq.service\" @ONLY)")

install(TARGETS jobq jobq-run RUNTIME DESTINATION bin)
install(TARGETS module LIBRARY DESTINATION lib/lua/5.4/jobq)
install(DIRECTORY bindings/lua/jobq DESTINATION share/lua/5.4 FILES_MATCHING PATTERN "*.lua")
install(DIRECTORY scripts/admin DESTINATION share/jobq FILES_MATCHING PATTERN "*.lua")
install(DIRECTORY bindings/meta DESTINATION share/jobq FILES_MATCHING PATTERN "*.lua")

install(FILES ${made}/jobq.1.gz ${made}/jobq-run.1.gz DESTINATION share/man/man1)
install(FILES ${made}/jobq.bash DESTINATION share/bash-completion/completions RENAME jobq)
install(CODE "
  set(zsh site-functions)
  if(CMAKE_INSTALL_PREFIX STREQUAL /usr) # where Debian's zsh looks for those of packages
    set(zsh vendor-completions)
  endif()
  file(INSTALL \"${made}/jobq.zsh\" RENAME _jobq
       DESTINATION \"\${CMAKE_INSTALL_PREFIX}/share/zsh/\${zsh}\")")
install(FILES ${made}/jobq.fish DESTINATION share/fish/vendor_completions.d)

install(FILES README.md DESTINATION share/doc/jobq)
install(FILES LICENSE DESTINATION share/doc/jobq RENAME copyright)
install(DIRECTORY handlers DESTINATION share/doc/jobq/examples)
install(FILES packaging/jobq.conf DESTINATION share/doc/jobq/examples)
install(FILES ${made}/jobq.service DESTINATION lib/systemd/system)
install(FILES packaging/jobq.sysusers DESTINATION lib/sysusers.d RENAME jobq.conf)

install(FILES packaging/jobq.conf DESTINATION /etc/jobq COMPONENT etc EXCLUDE_FROM_ALL
  PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ)
install(DIRECTORY DESTINATION /etc/jobq/handlers COMPONENT etc EXCLUDE_FROM_ALL)
