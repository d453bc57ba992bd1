#pragma once
// Waiting for a dead child at ordinary priority. Used by whoever has real-time priority and has children: guard and worker.
#include <sched.h>
#include <sys/resource.h>

namespace clusterd::guard {

// While it lives, the calling thread is scheduled like any other (but with nice -20); then real-time again, if it was.
//
// The kernel releases a dead process inside wait(2), and goes round and round there until nobody is looking at its /proc entry any more
// (release_task, shrink_dcache_parent). Whoever looks may have been interrupted by this very thread, and with real-time priority it
// would never get the processor back: seen with the two guards of a lab, which took both processors of the machine for a quarter of an hour.
class OrdinaryScheduling {
public:
    OrdinaryScheduling() {
        policy_ = sched_getscheduler(0);
        int const kind = policy_ & ~SCHED_RESET_ON_FORK;
        if ((kind != SCHED_RR && kind != SCHED_FIFO) || sched_getparam(0, &priority_) != 0) {
            policy_ = -1;
            return;
        }
        sched_param const none{};
        if (sched_setscheduler(0, SCHED_OTHER, &none) != 0) policy_ = -1;
        else setpriority(PRIO_PROCESS, 0, -20);
    }
    ~OrdinaryScheduling() {
        if (policy_ >= 0) sched_setscheduler(0, policy_, &priority_);
    }
    OrdinaryScheduling(OrdinaryScheduling const&) = delete;
    OrdinaryScheduling& operator=(OrdinaryScheduling const&) = delete;

private:
    int policy_ = -1;
    sched_param priority_{};
};

}  // namespace clusterd::guard
