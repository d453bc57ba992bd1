// `quorum force`: what an operator is shown before, and what happens then. Part of Worker.
#include "clusterd/shell/worker.hpp"

namespace clusterd {

namespace {
std::string text_of(DecisionId id) { return id.exists() ? std::to_string(id.term) + "." + std::to_string(id.index) : "none"; }
}  // namespace

std::string Worker::force_preview() {
    Status const s = status();
    Spec const& spec = node_->spec();
    std::string const& peer = spec.nodes[at(other(self_))].name;
    std::string text = "Newest decision known to " + name_ + " (this node): " + text_of(node_->stored_id()) + "\n";
    text += "Newest decision known to " + peer + ", when it was last heard: " + text_of(node_->peer_newest()) + "\n";
    for (auto n : {NodeIndex::a, NodeIndex::b}) {
        auto const& slot = s.quorum.slots[at(n)];
        if (slot) text += "Newest decision of " + spec.nodes[at(n)].name + " on the quorum disk, as last read: " + text_of(slot->newest) + "\n";
    }
    text += "What was decided after " + text_of(node_->stored_id()) + " is lost if you go on here: moves, pauses and orders of operators, and the configuration of that time.\n";
    text += "Go on only if " + peer + " is switched off, or certainly runs nothing of this cluster and stays cut off: clusterd can't know, and would run everything here.\n";
    return text;
}

Result<Done> Worker::force() {
    Status const s = node_->status(loop_.now());
    if (s.permit != PermitSource::none) return Error{"this node has quorum: nothing has to be forced"};
    if (s.nodes[at(other(self_))].state == NodeState::up) return Error{s.nodes[at(other(self_))].name + " has quorum: nothing has to be forced"};
    auto const& slot = s.quorum.slots[at(other(self_))];
    bool const disk_says = s.quorum.state == QuorumState::ok && slot && slot->state == Role::alone && node_->stored_id().exists();
    if (disk_says)
        return Error{"the quorum disk answers, and " + s.nodes[at(other(self_))].name +
                     " is alone on it; if it is off, this node takes over by itself within seconds: nothing has to be forced"};
    happen(event::Forced{"root"});
    return Done{};
}

}  // namespace clusterd
