/* help.h - what --help prints. */
#ifndef CORE_APP_HELP_H
#define CORE_APP_HELP_H

#include "core/base/buffer.h"

void help_add(struct buffer *out);

#endif
