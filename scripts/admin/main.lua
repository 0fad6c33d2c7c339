--- The jobq command: `jobq [options] COMMAND ...`. The program hands over the folder of this file.
--
-- A command is a file of this folder that returns a table: summary, text, group (a heading of jobq
-- help), arguments, options, examples, role (that may run it), offline (it needs no database and
-- no settings) and run(context). To add one, copy reload.lua. A command of two words, a noun and a
-- verb, has a '_' between them in the name of its file. Names that start with '_' are not commands
-- but what commands share.
local scripts = ...

return require("_program").main(arg, scripts)
