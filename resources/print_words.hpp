// What lpstat(1) says of a queue, in the C locale. For the type print-queue; pure.
#pragma once

#include <string>
#include <string_view>

namespace clusterd {

struct QueueSeen {
    bool server = false;     // cupsd answers
    bool there = false;      // the queue exists
    bool enabled = false;    // it prints
    bool accepting = false;  // it takes jobs
    std::string reason;      // of a queue that doesn't print, or doesn't take jobs, as CUPS says it; may be empty
};
// Of `lpstat -r -p QUEUE -a QUEUE`.
QueueSeen read_lpstat(std::string_view output, std::string_view queue);
// Of `lpstat -o QUEUE`: jobs that wait or are printed.
int count_jobs(std::string_view output, std::string_view queue);

}  // namespace clusterd
