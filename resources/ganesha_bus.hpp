// nfs-ganesha, asked over its D-Bus interface (org.ganesha.nfsd) with sd-bus: exports listed, added and removed, a grace period started. For
// the driver file-share.
//
// Every call may block until the deadline it was given. Not thread-safe: a connection per thread.
#pragma once

#include "clusterd/core/result.hpp"
#include "clusterd/core/time.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

struct sd_bus;

namespace clusterd {

struct GaneshaExport {
    int id = 0;
    std::string path;  // as clients mount it by NFSv3: the directory, or (mount_path_pseudo) its name
};

class GaneshaBus {
public:
    static Result<std::unique_ptr<GaneshaBus>> connect(Instant deadline);
    ~GaneshaBus();
    GaneshaBus(GaneshaBus const&) = delete;
    GaneshaBus& operator=(GaneshaBus const&) = delete;

    void deadline(Instant d) { deadline_ = d; }  // of the calls that follow

    Result<bool> runs();  // it has its name on the bus
    Result<int> pid();
    Result<std::vector<GaneshaExport>> exports();
    Result<std::string> path_of(int id);  // the directory of an export
    // `file` holds its block; an error says what nfs-ganesha says, in one line.
    Result<Done> add(std::string const& file, int id);
    Result<Done> remove(int id);
    // Opens and locks are for clients only that had them before, by the records that its recovery directory has now.
    Result<Done> grace(std::string const& why);

    // Waits until nfs-ganesha comes, goes or is replaced, `wake_fd` becomes readable, or for `at_most_ms`. False: the connection is lost.
    bool wait_for_change(int wake_fd, int at_most_ms);

private:
    explicit GaneshaBus(sd_bus* bus) : bus_(bus) {}
    void limit();
    sd_bus* bus_;
    Instant deadline_ = forever;
    std::unique_ptr<bool> changed_ = std::make_unique<bool>(false);
};

}  // namespace clusterd
