#include "clusterd/shell/log.hpp"

#include "clusterd/wire/event_kinds.hpp"
#include "clusterd/wire/status.hpp"

// Where in the source an event was written says nothing to an operator, and names the build machine's paths.
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <cstdio>
#include <cstdlib>
#include <systemd/sd-journal.h>

namespace clusterd {

namespace {

int priority_of(std::string const& severity) {
    if (severity == "critical") return 2;
    if (severity == "error") return 3;
    return severity == "warning" ? 4 : 6;
}

std::string line_of(EventRecord const& e) {
    std::string subject = !e.resource.empty() ? e.resource : e.group;
    if (!subject.empty()) subject += ": ";
    return subject + e.message;
}

}  // namespace

Log::Log(std::string format) : format_(std::move(format)) {
    if (format_.empty()) format_ = getenv("JOURNAL_STREAM") != nullptr ? "journal" : "text";
}

void Log::write(EventRecord const& e) const {
    std::string const line = line_of(e);
    if (format_ == "journal") {
        auto const kind = find_kind(e.kind);
        int const sent = sd_journal_send("MESSAGE=%s", line.c_str(), "MESSAGE_ID=%s", message_id(kind ? kind->kind : EventKind::note).c_str(), "PRIORITY=%i",
                                         priority_of(e.severity), "SYSLOG_IDENTIFIER=clusterd", "CLUSTER_EVENT=%s", e.id.c_str(), "CLUSTER_KIND=%s", e.kind.c_str(),
                                         "CLUSTER_NODE=%s", e.node.c_str(), "CLUSTER_GROUP=%s", e.group.c_str(), "CLUSTER_RESOURCE=%s", e.resource.c_str(),
                                         "CLUSTER_EVIDENCE=%s", e.evidence.c_str(), nullptr);
        if (sent == 0) return;
    }
    if (format_ == "json") {
        std::fprintf(stderr, "%s\n", event_json(e).c_str());
        return;
    }
    std::fprintf(stderr, "%s %-8s %-10s %s\n", rfc3339(e.time_ms).c_str(), e.severity.c_str(), e.id.c_str(), line.c_str());
}

}  // namespace clusterd
