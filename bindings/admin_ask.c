/* admin_ask.c - connect, write a line, read to the end, all within one deadline. */
#include "bindings/admin_ask.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <lauxlib.h>

#include "core/base/buffer.h"
#include "core/base/clock.h"

#define ANSWER_MAX ((size_t)1 << 20)
#define PIECE      ((size_t)4096)

static int connect_to(const char *path, int *fd);
static int say(int fd, const char *line, size_t size, uint64_t end_ms);
static int hear(int fd, uint64_t end_ms, struct buffer *answer);
static int wait_for(int fd, short events, uint64_t end_ms);
static const char *code_of(int rc);

int host_ask(lua_State *L)
{
    size_t size;
    const char *path = luaL_checkstring(L, 1);
    const char *line = luaL_checklstring(L, 2, &size);
    uint64_t end_ms = clock_now_ms() + (uint64_t)(luaL_checknumber(L, 3) * 1000);
    struct buffer answer = {0};
    int fd = -1;

    int rc = connect_to(path, &fd);
    if (rc == 0) {
        rc = say(fd, line, size, end_ms);
        rc = rc == 0 ? hear(fd, end_ms, &answer) : rc;
        close(fd);
    }
    if (rc < 0) {
        buffer_fini(&answer);
        lua_pushnil(L);
        lua_pushfstring(L, "cannot ask '%s': %s", path, strerror(-rc));
        lua_pushstring(L, code_of(rc));
        return 3;
    }
    lua_pushlstring(L, buffer_text(&answer), answer.size);
    buffer_fini(&answer);
    return 1;
}

static int connect_to(const char *path, int *fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(path);

    if (length >= sizeof(address.sun_path)) {
        return -ENAMETOOLONG;
    }
    memcpy(address.sun_path, path, length);
    *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (*fd < 0) {
        return -errno;
    }
    if (connect(*fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
        int rc = -errno;
        close(*fd);
        return rc;
    }
    return 0;
}

static bool is_passing(void)
{
    return errno == EAGAIN || errno == EINTR;
}

static int say(int fd, const char *line, size_t size, uint64_t end_ms)
{
    while (size > 0) {
        ssize_t n = send(fd, line, size, MSG_NOSIGNAL);
        if (n >= 0) {
            line += n;
            size -= (size_t)n;
            continue;
        }
        int rc = is_passing() ? wait_for(fd, POLLOUT, end_ms) : -errno;
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

static int hear(int fd, uint64_t end_ms, struct buffer *answer)
{
    while (answer->size < ANSWER_MAX) {
        ssize_t n = recv(fd, buffer_reserve(answer, PIECE), PIECE, 0);
        if (n == 0) {
            return 0;
        }
        if (n > 0) {
            buffer_grew(answer, (size_t)n);
            continue;
        }
        int rc = is_passing() ? wait_for(fd, POLLIN, end_ms) : -errno;
        if (rc < 0) {
            return rc;
        }
    }
    return -EMSGSIZE;
}

static int wait_for(int fd, short events, uint64_t end_ms)
{
    struct pollfd each = {.fd = fd, .events = events};
    uint64_t now_ms = clock_now_ms();

    if (now_ms >= end_ms || poll(&each, 1, (int)(end_ms - now_ms)) == 0) {
        return -ETIMEDOUT;
    }
    return 0;
}

static const char *code_of(int rc)
{
    switch (-rc) {
    case ENOENT:
    case ECONNREFUSED: return "gone";
    case EACCES:
    case EPERM: return "denied";
    case ETIMEDOUT:
    case EAGAIN: return "timeout";
    default: return "closed";
    }
}
