// The state of a resource that has none in the world (dummy, disk): a file that says online, and of which guard's time. The guard outlives
// agent hosts and workers, and nothing of a resource outlives the guard: what an earlier one's time left counts as offline.
#pragma once

#include <string>

namespace clusterd {

class StateFile {
public:
    // RUN-DIR/KIND/NAME of $CLUSTERD_RUN_DIR; empty where that isn't set.
    static std::string usual_path(std::string const& kind, std::string const& name);

    explicit StateFile(std::string path) : path_(std::move(path)) {}
    std::string const& path() const { return path_; }
    std::string read() const;                        // offline where there is none
    std::string write(std::string const& state) const;  // empty: written; else why not
    std::string remove() const;                      // likewise

private:
    std::string path_;
};

}  // namespace clusterd
