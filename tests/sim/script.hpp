// Drives a Cluster by words: what the recorded traces and the pair matrix have in common. One command a line; its answer is what
// happened meanwhile (roles, resources, breaches), in words, without times.
#pragma once

#include "tests/sim/cluster.hpp"

namespace clusterd::sim {

class Script {
public:
    Script();
    ~Script();
    // The answer; "ok" where nothing is to be told. A command that isn't understood answers with "?" and what it should be.
    std::string obey(std::string const& command);
    Cluster& cluster() { return *cluster_; }

private:
    bool process(std::vector<std::string> const& words);
    bool surroundings(std::vector<std::string> const& words);
    bool resources(std::vector<std::string> const& words);
    void until(std::vector<std::string> const& words);
    void tell(std::string const& line);

    std::unique_ptr<Cluster> cluster_;
    std::string answer_;
    int commands_ = 0;
    bool broken_ = false;
};

// "300ms", "2s"; 0 = not a duration.
Ns duration_of(std::string const& word);

}  // namespace clusterd::sim
