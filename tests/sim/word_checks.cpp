// What a node says, in heartbeats and in its slot: nothing before it is stored, and nothing that it can't know. Rules of protocol.md by
// themselves, whether or not their breach leads to two owners within a run.
#include "tests/sim/cluster.hpp"

namespace clusterd::sim {

// Echoes name a heartbeat by its time: two of one moment could not be told apart.
void Cluster::check_sent_once(Machine& m, Heartbeat const& h) {
    auto& [incarnation, sent] = memory.last_sent[at(m.self)];
    if (incarnation == h.incarnation && h.sent <= sent) throw Violation("word", std::string(name_of(m.self)) + " sends two heartbeats of one moment");
    incarnation = h.incarnation;
    sent = h.sent;
}

void Cluster::check_offer(Machine& m, Heartbeat const& h) {
    if (h.offer.term == 0) return;
    if (m.terms.highest < h.offer.term || m.terms.joined < h.offer.term)
        throw Violation("durable", std::string(name_of(m.self)) + " offers term " + std::to_string(h.offer.term) + " before it has stored it");
    memory.offered_to[h.offer.term].insert(h.offer.to);
}

void Cluster::check_joined(Machine& m, Heartbeat const& h) {
    if (h.role != Role::joined || memory.told_joined[at(m.self)] >= h.own) return;
    memory.told_joined[at(m.self)] = h.own;
    std::string const who = std::string(name_of(m.self)) + " is joined in term " + std::to_string(h.own);
    if (m.terms.joined < h.own || m.terms.highest < h.own) throw Violation("durable", who + " before it has stored it");
    bool const offered_it = leader_of(h.own) == m.self;
    if (!offered_it && !memory.offered_to[h.own].contains(m.incarnation)) throw Violation("word", who + ", which was never offered to it");
    // The peer has taken the offer: it said so, after it had stored it. (One whose store was lost since can't be asked.)
    if (offered_it && memory.told_joined[1 - at(m.self)] < h.own) throw Violation("word", who + ", and its peer never said that it is");
}

void Cluster::watch_heartbeat(Machine& m, Heartbeat const& h) {
    check_sent_once(m, h);
    check_offer(m, h);
    check_joined(m, h);
    if (h.abstains && h.role == Role::seeking && m.permit_end == long_ago) probe("abstains");
    Term& last = memory.offered[at(m.self)];
    if (h.offer.term != 0 && h.offer.term != last) {
        if (last != 0 && h.offer.term > last && m.resume.joined_term != last) probe("offer replaced by a higher one");
        last = h.offer.term;
    }
}

void Cluster::watch_slot(Machine& m, Slot const& s) {
    if (s.state == Role::alone && m.terms.alone < s.alone_term)
        throw Violation("durable", std::string(name_of(m.self)) + " writes 'alone' with term " + std::to_string(s.alone_term) + " before it has stored it");
    if (s.state == Role::alone && m.resume.role == Role::seeking && disk.slot[1 - at(m.self)].state == Role::alone) probe("two claims at once");
    if (s.state == Role::seeking && m.terms.alone > s.alone_term) probe("the less fit node waits with its term stored");
    if (s.state == Role::alone && m.resume.role == Role::joined) probe("late alone after joining");
    if (s.stopped_term > 0) probe("stop mark written");
}

}  // namespace clusterd::sim
