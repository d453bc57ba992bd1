// A client of a group while something happens to it: connects to its port again and again, and knows how long nobody answered. For drill_verb.cpp.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

namespace clusterd::tool {

class ClientGap {
public:
    // Begins at once: a TCP connection every 10 ms, whether or not an earlier one still waits (each for a second at most).
    ClientGap(std::string address, std::uint16_t port);
    ~ClientGap();
    ClientGap(ClientGap const&) = delete;
    ClientGap& operator=(ClientGap const&) = delete;

    bool answered_since(std::chrono::steady_clock::time_point when) const;  // by a connection that was begun after it
    // The longest time between two answers since it began or was last asked; the one that lasts counts.
    std::chrono::milliseconds longest();

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace clusterd::tool
