// Operators' commands given on this node: each is sent to the leader once, and then watched until what it asked for is so.
// The outcome is read from the decision and both nodes' reports, so it doesn't matter which node leads or runs what.
#pragma once

#include "clusterd/core/planner.hpp"

#include <map>

namespace clusterd {

class Operations {
public:
    struct View {
        Spec const& spec;
        Decision const* acting = nullptr;
        std::array<Report const*, 2> reports{};
        Now now;
        ConfigPtr const& config;  // that counts on this node
    };
    // `groups`: of `apply`, those that it changes.
    void given(Command command, Now now, std::set<std::string> groups = {}) {
        open_[command.id] = {command, now.mono, false, false, {}, {}, {}, {}, std::move(groups)};
    }
    void abandoned(std::string const& id) { open_.erase(id); }
    void answered(sync::CommandAnswer const& answer, Effects& out);
    // Those that nobody was asked about yet: the caller sends them to the leader or refuses them.
    std::vector<Command> unsent() const;
    void sent(std::string const& id) { open_.at(id).sent = true; }
    void refuse(std::string const& id, std::string why, Effects& out);
    void fail(std::string const& id, std::string why, Effects& out);
    // The leader that was asked isn't any more: what has no answer may or may not be decided.
    void leader_lost(Effects& out);
    void observe(View const& view, Effects& out);
    bool any() const { return !open_.empty(); }

private:
    struct Open {
        Command command;
        Instant since;
        bool sent = false, accepted = false;
        DecisionId under;
        std::map<std::string, std::string> told;  // resource -> last state told
        std::optional<Instant> away, back;        // move: not wholly online any more, and again
        std::set<std::string> groups;             // apply: what it changes
    };
    struct Verdict {
        Outcome outcome = Outcome::running;
        std::string message;
    };
    Verdict judge(View const& view, Open& o) const;
    Verdict judge_online(View const& view, Open const& o) const;
    Verdict judge_move(View const& view, Open& o) const;
    Verdict judge_offline(View const& view, Open const& o) const;
    Verdict judge_drained(View const& view, Open const& o) const;
    Verdict judge_applied(View const& view, Open const& o) const;
    void tell_progress(View const& view, Open& o, Effects& out) const;

    std::map<std::string, Open> open_;
};

}  // namespace clusterd
