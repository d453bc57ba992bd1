// The daemon, as the verbs see it: a request over its Unix socket (libcurl) and the answer's text. Everything that can go wrong
// ends in Stop with the contract's exit code and what to do next.
#pragma once

#include "clusterd/clusterctl/tool.hpp"

#include <atomic>
#include <memory>
#include <string>

namespace clusterd::tool {

struct Reply {
    long status = 0;
    std::string body;
    bool ok() const { return status >= 200 && status < 300; }
};

// Set by SIGINT and SIGTERM after catch_interrupts(): a request under way ends at once with Stop{exit_interrupted}.
extern std::atomic<bool> interrupted;
void catch_interrupts();

class Daemon {
public:
    explicit Daemon(std::string socket);
    ~Daemon();
    Daemon(Daemon const&) = delete;
    Daemon& operator=(Daemon const&) = delete;

    // Any status comes back. `patience` is for the whole request. No daemon, no permission, no answer: Stop.
    Reply request(std::string const& method, std::string const& path, std::string const& body, Duration patience);
    // The body of a good answer; a bad one is Stop with the daemon's own words.
    std::string get(std::string const& path, Duration patience = std::chrono::seconds(10));
    std::string post(std::string const& path, std::string const& body);
    static std::string escaped(std::string const& text);  // for a path or a parameter

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace clusterd::tool
