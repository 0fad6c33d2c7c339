--- The settings of these handlers: their types, and defaults that fit handlers/sample. Each may be
--- given by --set file.root=/srv/files, the variable JOBQ_FILE_ROOT, or a line of the config file;
--- `jobq config handlers` shows what is in force. What is wrong is refused at load.
return {
}
