// What became of the commands given through the API: kept until nobody can want it any more, in bounded memory.
#pragma once

#include "clusterd/core/events.hpp"
#include "clusterd/core/time.hpp"
#include "clusterd/wire/api.hpp"

#include <map>
#include <optional>
#include <string>

namespace clusterd::api {

class CommandLog {
public:
    CommandLog(std::size_t most, std::size_t most_updates, Duration keep_finished)
        : most_(most), most_updates_(most_updates), keep_(keep_finished) {}

    // False: so many are under way that none can be forgotten.
    bool open(std::string const& id, Instant now);
    // An update of a command that isn't ours (the peer's operator gave it) or already finished is ignored.
    void update(effect::CommandUpdate const& update, Instant now);
    // The updates after `n`. nullopt: unknown, or forgotten.
    std::optional<CommandProgress> progress(std::string const& id, std::uint64_t after_n, Instant now);
    bool finished(std::string const& id) const;

private:
    struct Entry {
        CommandProgress progress;
        std::uint64_t last_n = 0;
        Instant opened;
        Instant finished = forever;  // forever: still under way
    };
    void forget_old(Instant now);

    std::size_t most_, most_updates_;
    Duration keep_;
    std::map<std::string, Entry> entries_;
};

}  // namespace clusterd::api
