/*
 * defect.h - seeded defects that the fault harness must find, in builds with JOBQ_DEFECTS only.
 *
 * In any other build the question is answered when it is compiled, and nothing of it is left.
 */
#ifndef CORE_BASE_DEFECT_H
#define CORE_BASE_DEFECT_H

#include <stdbool.h>

#ifdef JOBQ_DEFECTS
#include <stdlib.h>
#include <string.h>

/* Whether JOBQ_DEFECT chooses this one; the names are those of spec/faults/defects.lua. */
static inline bool has_defect(const char *name)
{
    const char *chosen = getenv("JOBQ_DEFECT");

    return chosen != NULL && strcmp(chosen, name) == 0;
}
#else
static inline bool has_defect(const char *name)
{
    (void)name;
    return false;
}
#endif

#endif
