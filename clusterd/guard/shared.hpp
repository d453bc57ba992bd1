// The memory that guard and worker share: the permit, the proof of life, and the state a new worker goes on from.
//
// One memfd, made by the guard, inherited by each worker (CLUSTERD_SHARED_FD). The guard reads the permit here, at its own
// timer, so a renewal costs the worker one store and no call; a worker that dies or freezes in the middle of any write leaves
// either the old or the new value behind, never a mixture. Nothing here waits. libc and <atomic> only: the guard includes it.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace clusterd::guard {

namespace detail {
constexpr std::array<std::uint32_t, 256> crc32c_table() {
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t i = 0; i < 256; ++i) {
        std::uint32_t c = i;
        for (int k = 0; k < 8; ++k) c = (c & 1u) ? (c >> 1) ^ 0x82F63B78u : c >> 1;
        table[i] = c;
    }
    return table;
}
inline constexpr auto crc32c_bytes = crc32c_table();
}  // namespace detail

inline std::uint32_t crc32c(void const* data, std::size_t size, std::uint32_t seed = 0) {
    auto const* bytes = static_cast<unsigned char const*>(data);
    std::uint32_t c = ~seed;
    for (std::size_t i = 0; i < size; ++i) c = detail::crc32c_bytes[(c ^ bytes[i]) & 0xFFu] ^ (c >> 8);
    return ~c;
}

// What the guard was granted by the system; the worker shows what is missing as warnings.
enum Granted : std::uint32_t { granted_mlock = 1, granted_realtime = 2, granted_cgroup = 4 };

struct Shared {
    static constexpr std::uint64_t magic_value = 0x31304d4853445543ull;  // "CUDSHM01"
    static constexpr std::size_t resume_max = 4096;

    std::uint64_t magic = 0;
    std::uint64_t size = 0;

    // Written by the worker.
    std::atomic<std::int64_t> permit_end_ns{
        0};  // CLOCK_BOOTTIME; 0 or past = none. After none -> valid: GuardClient::permit_began()
    std::atomic<std::int64_t> kill_ns{250'000'000};  // K: the emergency stop starts at permit_end - K
    std::atomic<std::uint32_t> idle{0};  // 1: no resource does, or may do, anything here; written before that changes
    std::atomic<std::uint64_t> alive{0};             // moves at least once a second while the worker's loop runs

    // Written by the guard.
    std::atomic<std::uint32_t> granted{0};             // bits of Granted
    std::atomic<std::uint32_t> worker_starts{0};       // 1 = the first
    std::atomic<std::uint32_t> emergency_stops{0};     // begun
    std::atomic<std::uint32_t> emergency_unproven{0};  // of them: not all could be proven stopped in 5 s
    std::atomic<std::int64_t> emergency_begun_ns{0};   // CLOCK_BOOTTIME, of the latest
    std::atomic<std::int64_t> emergency_done_ns{0};    // CLOCK_BOOTTIME; < begun while it is under way

    struct ResumeCopy {
        std::atomic<std::uint64_t> sequence{0};  // 0 = not valid (never written, or being written)
        std::uint32_t size = 0;
        std::uint32_t crc = 0;  // CRC32C of sequence, size and bytes
        alignas(8) unsigned char bytes[resume_max] = {};
    };
    ResumeCopy resume[2];

    bool permit_holds(std::int64_t now_ns) const {
        std::int64_t const end = permit_end_ns.load(std::memory_order_acquire);
        return end > 0 && now_ns < end;
    }

    // By the worker only, from one thread. False: too large.
    bool write_resume(void const* data, std::size_t length) {
        if (length > resume_max) return false;
        std::uint64_t const s0 = sequence_of(resume[0]), s1 = sequence_of(resume[1]);
        ResumeCopy& copy = s0 <= s1 ? resume[0] : resume[1];  // the older one: the newer stays whole until this is
        std::uint64_t const next = (s0 > s1 ? s0 : s1) + 1;
        copy.sequence.store(0, std::memory_order_relaxed);
        std::atomic_thread_fence(std::memory_order_seq_cst);
        std::memcpy(copy.bytes, data, length);
        copy.size = static_cast<std::uint32_t>(length);
        copy.crc = crc_of(copy, next);
        copy.sequence.store(next, std::memory_order_release);
        return true;
    }

    // The newest whole state; its size, or 0 where there is none (or it doesn't fit).
    std::size_t read_resume(void* data, std::size_t capacity) const {
        std::uint64_t const s0 = sequence_of(resume[0]), s1 = sequence_of(resume[1]);
        ResumeCopy const* best = s0 == 0 && s1 == 0 ? nullptr : (s0 > s1 ? &resume[0] : &resume[1]);
        if (!best || best->size > capacity) return 0;
        std::memcpy(data, best->bytes, best->size);
        return best->size;
    }

private:
    static std::uint32_t crc_of(ResumeCopy const& copy, std::uint64_t sequence) {
        std::uint32_t crc = crc32c(&sequence, sizeof sequence);
        crc = crc32c(&copy.size, sizeof copy.size, crc);
        return crc32c(copy.bytes, copy.size, crc);
    }
    // 0 unless the copy is whole.
    static std::uint64_t sequence_of(ResumeCopy const& copy) {
        std::uint64_t const sequence = copy.sequence.load(std::memory_order_acquire);
        if (sequence == 0 || copy.size > resume_max) return 0;
        return copy.crc == crc_of(copy, sequence) ? sequence : 0;
    }
};
static_assert(std::atomic<std::int64_t>::is_always_lock_free && std::atomic<std::uint64_t>::is_always_lock_free);

// Made once, by the guard. Sealed in size, so that no one's mistake turns an access into SIGBUS. -1: errno says why.
inline int make_shared_memory() {
    int const fd = memfd_create("clusterd-shared", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) return -1;
    if (ftruncate(fd, sizeof(Shared)) != 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) != 0) {
        int const error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

// nullptr: not such memory (errno says why). `fresh`: the guard's own new one, to be initialised.
inline Shared* map_shared_memory(int fd, bool fresh = false) {
    struct stat st;
    if (fstat(fd, &st) != 0) return nullptr;
    if (st.st_size < static_cast<off_t>(sizeof(Shared))) {
        errno = EINVAL;
        return nullptr;
    }
    void* at = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED) return nullptr;
    auto* shared = static_cast<Shared*>(at);  // zeroed memory is a valid, empty Shared; the atomics are lock-free
    if (fresh) {
        shared->size = sizeof(Shared);
        shared->kill_ns.store(250'000'000);
        shared->magic = Shared::magic_value;
    }
    if (shared->magic != Shared::magic_value || shared->size != sizeof(Shared)) {
        munmap(at, sizeof(Shared));
        errno = EPROTO;
        return nullptr;
    }
    return shared;
}

}  // namespace clusterd::guard
