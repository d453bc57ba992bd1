// The core is pure: it may call nothing that reads a clock, a file, a socket, the environment or chance, or that makes a thread.
//
// Reads libcore.a's undefined symbols with nm and holds each against what a pure library needs: memory, strings, containers and
// exceptions. Anything else fails the test by its name, so that a new kind of call is looked at before it is let in.
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <fstream>
#include <regex>
#include <set>
#include <string>
#include <unistd.h>
#include <vector>

namespace {

std::string output_of(std::string const& command) {
    std::string all;
    FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
    if (!pipe) return all;
    std::array<char, 4096> part{};
    while (std::size_t const n = std::fread(part.data(), 1, part.size(), pipe)) all.append(part.data(), n);
    if (::pclose(pipe) != 0) return "failed: " + all;
    return all;
}

// Undefined symbols that no member of the library defines itself.
std::set<std::string> undefined_symbols(std::string const& library) {
    std::set<std::string> undefined, defined;
    std::string const text = output_of("nm -C '" + library + "'");
    EXPECT_NE(text.rfind("failed: ", 0), 0U) << text;
    static std::regex const line("^(?:[0-9a-f]+)? +([A-Za-z]) (.+)$");
    std::size_t at = 0;
    while (at < text.size()) {
        std::size_t end = text.find('\n', at);
        if (end == std::string::npos) end = text.size();
        std::string const one = text.substr(at, end - at);
        at = end + 1;
        std::smatch m;
        if (!std::regex_match(one, m, line)) continue;
        (m[1] == "U" || m[1] == "w" || m[1] == "v" ? undefined : defined).insert(m[2]);
    }
    for (auto const& d : defined) undefined.erase(d);
    return undefined;
}

bool pure(std::string const& symbol) {
    static std::vector<std::regex> const allowed = [] {
        std::vector<std::regex> all;
        for (char const* pattern : {
                 // memory and strings of C
                 "(memcpy|memmove|memset|memcmp|memchr|strlen|strcmp|abort|__stack_chk_fail|__dso_handle|_GLOBAL_OFFSET_TABLE_)(@.*)?",
                 "__(memcpy|memmove|memset|strcpy|strcat|snprintf|vsnprintf)_chk(@.*)?", "v?snprintf(@.*)?",
                 // C++: allocation, exceptions, type information, one-time initialisation of constants
                 "operator (new|delete)(\\[\\])?\\(.*", "__cxa_(?!thread_atexit).*", "__gxx_personality_v0", "_Unwind_Resume", "__gnu_cxx::.*",
                 "(vtable|typeinfo|VTT)( name)? for (std|__cxxabiv1)::.*", "std::terminate\\(\\)", "std::__throw_.*", "std::__glibcxx_assert_fail.*",
                 "std::exception::.*", "std::bad_(alloc|function_call|variant_access|optional_access)::.*", "std::(logic_error|runtime_error|out_of_range|length_error|invalid_argument)::.*",
                 "std::__exception_ptr::.*", "std::(rethrow|current)_exception.*",
                 // containers and strings
                 "std::__cxx11::basic_string<.*", "(.* )?std::__cxx11::to_string.*", "std::_Rb_tree_(increment|decrement|insert_and_rebalance|rebalance_for_erase|black_count).*",
                 "std::_Hash_bytes.*", "std::__detail::(_Prime_rehash_policy|_List_node_base).*", "std::_Sp_make_shared_tag::.*",
                 "std::(to_chars|from_chars)\\(.*",
                 // shared_ptr asks whether there are threads at all; it makes none
                 "__libc_single_threaded(@.*)?", "__gthrw_.*", "__pthread_key_create(@.*)?",
                 // the sanitizers' own
                 "__(asan|ubsan|tsan|lsan|sanitizer)_.*", "__start___.*", "__stop___.*"})
            all.emplace_back(pattern);
        return all;
    }();
    for (auto const& r : allowed)
        if (std::regex_match(symbol, r)) return true;
    return false;
}

std::vector<std::string> impure_symbols(std::string const& library) {
    std::vector<std::string> bad;
    for (auto const& s : undefined_symbols(library))
        if (!pure(s)) bad.push_back(s);
    return bad;
}

std::string joined(std::vector<std::string> const& all) {
    std::string s;
    for (auto const& x : all) s += "\n  " + x;
    return s;
}

TEST(Purity, TheCoreCallsNothingButMemoryStringsAndContainers) {
    std::string const library = BINARY_DIR "/libcore.a";
    auto const symbols = undefined_symbols(library);
    ASSERT_GT(symbols.size(), 10U) << library << ": read too few symbols to say anything";
    auto const bad = impure_symbols(library);
    EXPECT_TRUE(bad.empty()) << "clusterd/core must not call:" << joined(bad)
                             << "\nmove it to the shell and pass its result in as an event; only if it is pure, add it to the list in this test";
}

// So that the test above is known to be able to fail.
TEST(Purity, AClockAFileASocketAThreadTheEnvironmentOrChanceIsFound) {
    std::string const stem = testing::TempDir() + "purity_" + std::to_string(::getpid());
    std::ofstream(stem + ".cpp") << R"(
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <random>
#include <sys/socket.h>
#include <thread>
#include <time.h>
long clock_of_c() { timespec t; clock_gettime(CLOCK_BOOTTIME, &t); return t.tv_sec; }
long clock_of_cpp() { return std::chrono::steady_clock::now().time_since_epoch().count(); }
void file() { std::ofstream("x") << 1; }
int socket_of_c() { return socket(AF_INET, SOCK_DGRAM, 0); }
char const* environment() { return getenv("HOME"); }
unsigned chance() { return std::random_device()(); }
void thread() { std::thread([] {}).detach(); }
)";
    std::string const built = output_of("c++ -std=c++20 -c -o '" + stem + ".o' '" + stem + ".cpp' && ar rc '" + stem + ".a' '" + stem + ".o'");
    ASSERT_EQ(built, "");
    std::string const bad = joined(impure_symbols(stem + ".a")) + "\n";
    for (char const* call : {"clock_gettime", "steady_clock::now", "basic_ofstream", "socket", "getenv", "random_device", "std::thread::"})
        EXPECT_NE(bad.find(call), std::string::npos) << call << " was not found among:" << bad;
    for (char const* end : {".cpp", ".o", ".a"}) std::remove((stem + end).c_str());
}

}  // namespace
