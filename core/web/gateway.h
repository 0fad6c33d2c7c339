/*
 * gateway.h - requests to runs, and what comes of them to answers (docs/decisions/0058).
 *
 * A request is a run of the kind http.request. Its arguments:
 *
 *   {"method":"GET","path":"/jobs","query":"status=failed","host":"db:7070","peer":"127.0.0.1",
 *    "fields":[["accept","text/html"], ...],"body":"..."}
 *
 * with the names of fields in lower case, in the order in which they came. Its result is a text that
 * is the answer as HTTP writes it, but with the status alone in the first line, and without what the
 * server adds itself (core/http/connection.h):
 *
 *   "200\r\nContent-Type: text/html\r\n\r\n<!doctype html>..."
 *
 * A run that fails is a 500, one that is stopped at its deadline a 503; nobody is told why but the log.
 */
#ifndef CORE_WEB_GATEWAY_H
#define CORE_WEB_GATEWAY_H

#include <uv.h>

#include "core/base/frame.h"
#include "core/http/connection.h"

#define GATEWAY_KIND "http.request"

struct executor;
struct gateway;

/* The executor for the next request, or NULL while there is none. */
typedef struct executor *(*gateway_pick_fn)(void *owner);

/* most: requests at a time; those above are answered with a 503 at once. */
struct gateway *gateway_open(uv_loop_t *loop, size_t most, gateway_pick_fn pick, void *owner);

/* Begins to hand requests on, with that much time for each; again when it changes. */
void gateway_serve(struct gateway *g, double timeout_s);

/* As in struct http_events. */
void gateway_request(struct gateway *g, struct http_connection *c, const struct http_request *r);
void gateway_left(struct gateway *g, struct http_connection *c);

/* Hands on what waits: an executor is ready. */
void gateway_run(struct gateway *g);

/* A frame of e: started or outcome; -EBADMSG when it makes no sense. */
MUST_USE int gateway_told(struct gateway *g, struct executor *e, struct frame *f);

/* e is gone, and with it what ran there. */
void gateway_lost(struct gateway *g, const struct executor *e, const char *why);

/* Requests under way. */
size_t gateway_count(const struct gateway *g);

/* Those under way are forgotten. */
void gateway_close(struct gateway *g);

#endif
