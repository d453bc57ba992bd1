// One run of nft(8) with a ruleset on its standard input, and the rulesets of the gate. Called by gate.cpp only.
#pragma once

#include "clusterd/core/result.hpp"
#include "clusterd/core/time.hpp"

#include <cstdint>
#include <string>
#include <sys/types.h>
#include <vector>

namespace clusterd::gate {

struct RulesetInput {
    std::string table;
    std::vector<std::string> v4, v6;      // all cluster addresses
    std::vector<std::string> interfaces;  // egress_ruleset only
};
// Sets up, or puts right, the tables in one transaction. Allowed elements that stand keep their timeouts, and none are added: a
// ruleset that reaches the kernel late (we were frozen) must not open anything.
std::string main_ruleset(RulesetInput const& input);
// The netdev table: packets that AF_PACKET sends past the arp chain. anew: whatever stands is deleted first, elements too.
std::string egress_ruleset(RulesetInput const& input, bool anew);
// Only the tables and their sets, which stop nothing yet. Run first where all was removed: once they hold the allowed elements, the
// rules that follow close nothing that may be open.
std::string sets_ruleset(RulesetInput const& input, bool egress);
std::string removal(std::string const& table, bool egress);
inline constexpr int main_inet_rules = 8, main_arp_rules = 1, egress_rules_per_interface = 2;

// Started, then waited for (by its pidfd) or killed. Its output is kept for the message.
class NftRun {
public:
    NftRun() = default;
    ~NftRun();  // kills it where it still runs
    NftRun(NftRun const&) = delete;
    NftRun& operator=(NftRun const&) = delete;

    Result<Done> start(std::string const& nft, std::string const& ruleset);
    bool running() const { return pid_ > 0; }
    int pidfd() const { return pidfd_; }
    bool wait(Duration at_most);  // true: it has ended
    Result<Done> finish();        // after pidfd became readable, or too late: reaps (kills) it and says how it went

private:
    void drop();
    pid_t pid_ = -1;
    int pidfd_ = -1, output_ = -1;
};

}  // namespace clusterd::gate
