// What guard, worker and agent hosts say to each other: the messages, and how they are put into bytes and checked.
//
// One SOCK_SEQPACKET socket per client, so a message is a packet: a fixed header, then at most max_payload bytes of fields
// (32-bit numbers in the machine's order, strings ended by NUL). A request has an id; its answer carries the same id.
// Both sides are on one machine and of one build, but the guard trusts no byte: whatever doesn't parse is refused with a reason.
// libc only: the guard includes it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace clusterd::guard {

inline constexpr std::size_t max_payload = 64 * 1024;
inline constexpr std::size_t max_name = 127;  // of a resource, an agent host
inline constexpr std::size_t max_role = 63;
inline constexpr std::size_t max_arguments = 256;  // argv, env

enum class Message : std::uint16_t {
    // of agent hosts (and allowed to the worker)
    spawn = 1,    // resource role cwd user has-output(u32) argc argv... envc env...   [+ fd]  -> pid
    signal,       // resource role signal                                                  -> (nothing)
    kill_all,     // resource                                                              -> remaining
    processes,    // resource                                                              -> n, n x (role pid running wait_status)
    count,        // resource                                                              -> n
    own_address,  // resource address/prefix interface                                     -> (nothing)
    disown_address,  // resource address/prefix interface                                     -> (nothing)
    own_cgroup,      // resource path to-start(u32)                                           -> (nothing)
    disown_cgroup,   // resource path                                                         -> (nothing)
    own_mount,       // resource mount-point major minor to-start(u32)                        -> (nothing)
    disown_mount,    // resource                                                              -> (nothing)
    // of the worker
    host = 32,       // name                                                                  -> (nothing) + fd
    kill_host,       // name                                                                  -> (nothing)
    emergency_stop,  // reason                                                                -> (nothing), or an error naming what
                     // is left
    ready,           // no answer
    status_line,     // text; no answer
    left,            // no answer
    permit_began,    // no answer: look at the shared memory now
    watchdog,        // path seconds; an empty path: none                                     -> its time-out in seconds
    // of the guard
    answer = 64,     // result 0: as above; 1: the reason
    exited = 96,     // to the host that started it: resource role pid wait_status
    leave,           // to the worker: SIGTERM came
    host_gone,       // to the worker: name
    emergency_done,  // to the worker: proven(u32) text
};

struct Header {
    static constexpr std::uint32_t magic_value = 0x31474c43;  // "CLG1"
    std::uint32_t magic = magic_value;
    std::uint16_t message = 0;
    std::uint16_t result = 0;  // answers: 0 done, 1 refused or failed
    std::uint64_t id = 0;      // 0: no answer is wanted
};
static_assert(sizeof(Header) == 16);
inline constexpr std::size_t max_packet = sizeof(Header) + max_payload;

// Puts fields into a buffer that the caller owns. Once something didn't fit, ok stays false.
struct Packer {
    char* data;
    std::size_t capacity;
    std::size_t size = 0;
    bool ok = true;

    void bytes(void const* from, std::size_t n) {
        if (!ok || n > capacity - size) {
            ok = false;
            return;
        }
        if (n) std::memcpy(data + size, from, n);
        size += n;
    }
    void header(Message message, std::uint64_t id, std::uint16_t result = 0) {
        Header h;
        h.message = static_cast<std::uint16_t>(message);
        h.result = result;
        h.id = id;
        bytes(&h, sizeof h);
    }
    void number(std::uint32_t n) { bytes(&n, sizeof n); }
    void signed_number(std::int32_t n) { bytes(&n, sizeof n); }
    void text(char const* s) { bytes(s, std::strlen(s) + 1); }
};

// Takes fields out of a buffer; a string points into it. Once something was missing, ok stays false and 0 / "" is returned.
struct Unpacker {
    char const* data;
    std::size_t size;
    std::size_t at = 0;
    bool ok = true;

    bool bytes(void* to, std::size_t n) {
        if (!ok || n > size - at) {
            ok = false;
            std::memset(to, 0, n);
            return false;
        }
        std::memcpy(to, data + at, n);
        at += n;
        return true;
    }
    bool header(Header& h) { return bytes(&h, sizeof h) && h.magic == Header::magic_value; }
    std::uint32_t number() {
        std::uint32_t n;
        bytes(&n, sizeof n);
        return n;
    }
    std::int32_t signed_number() {
        std::int32_t n;
        bytes(&n, sizeof n);
        return n;
    }
    char const* text() {
        if (!ok) return "";
        void const* end = at < size ? std::memchr(data + at, 0, size - at) : nullptr;
        if (!end) {
            ok = false;
            return "";
        }
        char const* s = data + at;
        at = static_cast<std::size_t>(static_cast<char const*>(end) - data) + 1;
        return s;
    }
    bool complete() const { return ok && at == size; }
};

// Roles that run without a permit: they end or look, they start nothing. "check:3" is of the kind "check".
inline bool role_is(char const* role, char const* kind) {
    std::size_t const n = std::strlen(kind);
    return std::strncmp(role, kind, n) == 0 && (role[n] == 0 || role[n] == ':');
}
inline bool role_needs_permit(char const* role) {
    return !role_is(role, "stop") && !role_is(role, "status") && !role_is(role, "check");
}

}  // namespace clusterd::guard
