/* run_lines.h - what a run logs, where there is no job to keep it: to stderr. */
#ifndef CORE_APP_RUN_LINES_H
#define CORE_APP_RUN_LINES_H

#include "core/base/frame.h"

/* f is a log frame; one that is malformed is passed over. */
void run_lines_tell(struct frame *f);

#endif
