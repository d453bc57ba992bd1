// Which packets were there before. One per link; asked only about packets that were opened, so nobody without the key can move it.
//
// Counters may come up to 1024 behind the newest (RFC 6479's bitmap). Two incarnations of the peer are known at once: the one that
// counts as the peer, which is never forgotten for another, and one other: that may be the new one of a node that restarted, or an
// old one that someone plays back. The core takes the other one for its peer only after it echoed something fresh.
#pragma once

#include "clusterd/core/ids.hpp"

#include <array>

namespace clusterd {

class ReplayWindow {
public:
    static constexpr std::uint64_t width = 1024;

    // True for each counter once, unless it is older than the window.
    bool accept(std::uint64_t counter) {
        if (counter > newest_) {
            std::uint64_t const steps = counter - newest_;
            if (steps >= size)
                bits_.fill(0);
            else
                for (std::uint64_t i = 1; i <= steps; ++i) clear(newest_ + i);
            newest_ = counter;
        } else if (newest_ - counter >= width) {
            return false;
        }
        std::uint64_t& word = bits_[counter / 64 % bits_.size()];
        std::uint64_t const bit = std::uint64_t{1} << (counter % 64);
        if ((word & bit) != 0) return false;
        word |= bit;
        return true;
    }

private:
    void clear(std::uint64_t counter) { bits_[counter / 64 % bits_.size()] &= ~(std::uint64_t{1} << (counter % 64)); }
    static constexpr std::uint64_t size = width;
    std::array<std::uint64_t, size / 64> bits_{};
    std::uint64_t newest_ = 0;
};

class ReplayGuard {
public:
    // `peer`: the incarnation that counts as the peer's now; 0 = none.
    bool accept(Incarnation incarnation, std::uint64_t counter, Incarnation peer) {
        for (Entry& e : entries_)
            if (e.incarnation == incarnation && e.used != 0) return e.used = ++uses_, e.window.accept(counter);
        Entry& e = oldest_but(peer);
        e = Entry{incarnation, ++uses_, {}};
        return e.window.accept(counter);
    }

private:
    struct Entry {
        Incarnation incarnation = 0;
        std::uint64_t used = 0;
        ReplayWindow window;
    };
    Entry& oldest_but(Incarnation peer) {
        if (peer != 0 && entries_[0].incarnation == peer) return entries_[1];
        if (peer != 0 && entries_[1].incarnation == peer) return entries_[0];
        return entries_[0].used <= entries_[1].used ? entries_[0] : entries_[1];
    }
    std::array<Entry, 2> entries_;
    std::uint64_t uses_ = 0;
};

}  // namespace clusterd
