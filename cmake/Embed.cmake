# Embed.cmake - turns text files into C, at build time: cmake -DKIND=... -DOUT=... -DFILES=... -P
#
# KIND queries     enum sql_query and its texts, from sql/queries/NAME.sql
#      migrations  an array of number, name and text, from sql/migrations/NNNN_NAME.sql
#      lua         an array of module name and text, from bindings/lua/**.lua
string(REPLACE "|" ";" FILES "${FILES}")

function(read_literal path out)
  file(READ "${path}" text)
  string(REPLACE "\\" "\\\\" text "${text}")
  string(REPLACE "\"" "\\\"" text "${text}")
  string(REPLACE "??" "?\\?" text "${text}") # else C11 reads trigraphs
  string(REPLACE "\n" "\\n\"\n\"" text "${text}")
  set(${out} "\"${text}\"" PARENT_SCOPE)
endfunction()

set(body "/* made by cmake/Embed.cmake */\n")
set(header "/* made by cmake/Embed.cmake */\n#pragma once\n")

if(KIND STREQUAL "queries")
  string(APPEND header "enum sql_query {\n")
  string(APPEND body "#include \"core/db/query.h\"\n\nstatic const char *const texts[] = {\n")
  set(names "static const char *const names[] = {\n")
  foreach(path ${FILES})
    get_filename_component(name "${path}" NAME_WE)
    string(TOUPPER "${name}" upper)
    read_literal("${path}" literal)
    string(APPEND header "    SQL_${upper},\n")
    string(APPEND body "    [SQL_${upper}] = ${literal},\n")
    string(APPEND names "    [SQL_${upper}] = \"${name}\",\n")
  endforeach()
  string(APPEND header "    SQL_QUERY_COUNT\n};\n")
  string(APPEND body "};\n\n${names}};\n
const char *sql_query_text(enum sql_query q)\n{\n    return texts[q];\n}\n
const char *sql_query_name(enum sql_query q)\n{\n    return names[q];\n}\n")
elseif(KIND STREQUAL "migrations")
  string(APPEND body "#include \"core/db/migrate.h\"\n\nconst struct migration migrations[] = {\n")
  foreach(path ${FILES})
    get_filename_component(name "${path}" NAME_WE)
    string(REGEX REPLACE "^0*([0-9]+)_.*" "\\1" number "${name}")
    string(REGEX REPLACE "^[0-9]+_" "" name "${name}")
    read_literal("${path}" literal)
    string(APPEND body "    {${number}, \"${name}\", ${literal}},\n")
  endforeach()
  string(APPEND body "    {0, NULL, NULL},\n};\n")
elseif(KIND STREQUAL "lua")
  string(APPEND body "#include \"bindings/embedded_lua.h\"\n\nconst struct embedded_lua embedded_lua[] = {\n")
  foreach(path ${FILES})
    string(REGEX REPLACE "^.*bindings/lua/(.*)\\.lua$" "\\1" name "${path}")
    string(REPLACE "/" "." name "${name}")
    string(REGEX REPLACE "\\.init$" "" name "${name}")
    read_literal("${path}" literal)
    string(APPEND body "    {\"${name}\", ${literal}},\n")
  endforeach()
  string(APPEND body "    {NULL, NULL},\n};\n")
endif()

file(WRITE "${OUT}.c" "${body}")
if(KIND STREQUAL "queries")
  file(WRITE "${OUT}.h" "${header}")
endif()
