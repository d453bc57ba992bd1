// See memory.hpp.
#include "agents/host/memory.hpp"

#include <fmt/format.h>

#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>
#include <algorithm>
#include <new>

namespace clusterd {
namespace {

constexpr std::size_t stack_size = 512u << 10;  // drivers and agents are shallow; OpenSSL under curl is the deepest of them
constexpr std::size_t base = 256u << 20;        // the pool's threads can have half of it
constexpr std::size_t for_each_resource = 1u << 20;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool limited = false;  // their shadow memory counts, too, and they need larger stacks
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr bool limited = false;
#else
constexpr bool limited = true;
#endif
#else
constexpr bool limited = true;
#endif

char last_words[256];
std::size_t last_words_size = 0;
std::string own_name;

[[noreturn]] void no_memory_left() {
    [[maybe_unused]] ssize_t const n = write(STDERR_FILENO, last_words, last_words_size);
    _exit(1);
}

}  // namespace

void begin_with_limited_memory(std::string const& name) {
    if (!limited) return;
    own_name = name;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, stack_size);
    pthread_setattr_default_np(&attributes);  // also of those that drivers start
    pthread_attr_destroy(&attributes);
    limit_memory(0);
    std::set_new_handler(no_memory_left);
}

void limit_memory(std::size_t resources) {
    rlimit limit{};
    if (!limited || getrlimit(RLIMIT_DATA, &limit) != 0) return;
    limit.rlim_cur = std::min<rlim_t>(base + resources * for_each_resource, limit.rlim_max);
    setrlimit(RLIMIT_DATA, &limit);
    last_words_size = fmt::format_to_n(last_words, sizeof last_words,
                                       "cluster-agent {}: it has used up the {} MiB of memory that an agent host may have, which is a fault of a driver or an agent in it; it ends, and is started again\n",
                                       own_name, limit.rlim_cur >> 20)
                          .size;
    last_words_size = std::min(last_words_size, sizeof last_words);
}

}  // namespace clusterd
