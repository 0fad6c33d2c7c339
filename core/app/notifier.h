/*
 * notifier.h - tells the service manager how the worker is, by datagrams as sd_notify(3) defines them.
 *
 *   STARTING --ready--> READY --reloading--> RELOADING --reloaded--> READY
 *   any state --stopping--> STOPPING
 *
 * A call that fits no arrow does nothing. Status texts are for people: systemctl status shows them.
 */
#ifndef CORE_APP_NOTIFIER_H
#define CORE_APP_NOTIFIER_H

#include <uv.h>

#include "core/base/slice.h"

struct notifier;

/*
 * For the manager that $NOTIFY_SOCKET names; without one all calls do nothing. If it wants a sign of
 * life ($WATCHDOG_USEC), the loop gives it from now on. The variables are taken out of the environment:
 * children would speak in our name.
 */
struct notifier *notifier_open(uv_loop_t *loop);

void notifier_ready(struct notifier *n, struct slice status);
void notifier_reloading(struct notifier *n);
void notifier_reloaded(struct notifier *n, struct slice status);

/* Asks for that much time to stop in; again, for as much from then on. */
void notifier_stopping(struct notifier *n, uint64_t within_ms);

void notifier_close(struct notifier *n);

#endif
