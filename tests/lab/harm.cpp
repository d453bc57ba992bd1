// lab-harm.so, preloaded into cluster-agent: an agent that misbehaves on request. While the file $CLUSTERD_TEST_HARM is there, with
// "HOST WORD [MIB]" in it, each connect() in the agent host of that name (a tcp, http or redis check makes one) does what the word says:
//   leak MIB (that much more is used and never given back) | crash (SIGSEGV) | spin (never returns, and takes all it can of a CPU) |
//   sleep (never returns)
#include <dlfcn.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

extern "C" int connect(int fd, sockaddr const* to, socklen_t size) {
    char const* const path = std::getenv("CLUSTERD_TEST_HARM");
    bool const agent = std::strcmp(program_invocation_short_name, "cluster-agent") == 0;  // not guard and worker, which have it preloaded, too
    if (std::FILE* const file = agent && path && *path ? std::fopen(path, "re") : nullptr) {
        char host[16] = {}, word[16] = {}, here[16] = {};  // its threads are called as the host is, cut to 15 letters
        unsigned mib = 0;
        int n = std::fscanf(file, "%15s %15s %u", host, word, &mib);
        std::fclose(file);
        prctl(PR_GET_NAME, here);
        if (std::strcmp(host, here) != 0) n = 0;
        if (n >= 2 && std::strcmp(word, "crash") == 0) std::raise(SIGSEGV);
        while (n >= 2 && std::strcmp(word, "spin") == 0) {
            asm volatile("");
        }
        while (n >= 2 && std::strcmp(word, "sleep") == 0) pause();
        if (n == 3 && std::strcmp(word, "leak") == 0) std::memset(new char[std::size_t{mib} << 20], 1, std::size_t{mib} << 20);
    }
    using Connect = int (*)(int, sockaddr const*, socklen_t);
    static Connect const real = reinterpret_cast<Connect>(dlsym(RTLD_NEXT, "connect"));
    return real(fd, to, size);
}
