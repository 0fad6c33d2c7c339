/* help.h - what --help and --version print. */
#ifndef CORE_APP_HELP_H
#define CORE_APP_HELP_H

#include "core/base/buffer.h"

void help_add(struct buffer *out);
void help_add_version(struct buffer *out);

#endif
