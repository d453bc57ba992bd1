#include "clusterd/quorum/admin.hpp"

#include "clusterd/wire/config_hash.hpp"
#include "clusterd/wire/decision.hpp"

#include <time.h>

namespace clusterd {

namespace {

constexpr NodeIndex both_nodes[] = {NodeIndex::a, NodeIndex::b};

struct Looker {
    DiskFile& disk;
    DiskHeader const& header;
    Key const* key;  // the disk's own, or null

    Result<std::string> area(NodeIndex node, AreaKind kind, std::uint8_t number, AreaHeader& found) {
        bool const decision = kind == AreaKind::decision;
        std::uint64_t const offset = decision ? header.geometry.decision(node, number) : header.geometry.config(node, number);
        std::uint64_t const size = decision ? header.geometry.decision_area : header.geometry.config_area;
        BlockBuffer first(disk_block);
        if (auto const got = disk.read(offset, first); !got) return Error{got.error()};
        auto const head = decode_area_header(first.view(), size, header.binding(), node, key);
        if (!head) return Error{head.error()};
        if (head->kind != kind || head->area != number) return Error{"it belongs to another place"};
        found = *head;
        BlockBuffer all(area_read_bytes(found));
        if (auto const got = disk.read(offset, all); !got) return Error{got.error()};
        auto const content = decode_area_content(all.view(), found);
        return content ? Result<std::string>(std::string(*content)) : Error{content.error()};
    }

    bool has_config(Hash const& hash) {
        AreaHeader found;
        for (auto const node : both_nodes)
            for (std::uint8_t n = 0; n < 2; ++n)
                if (auto const xml = area(node, AreaKind::config, n, found); xml && hash_config(*xml) == hash) return true;
        return false;
    }

    DecisionView decision(NodeIndex node, Slot const& slot) {
        DecisionView view;
        view.id = slot.newest;
        if (!slot.newest.exists()) return view;
        view.state = DecisionView::State::bad;
        AreaHeader found;
        auto const content = area(node, AreaKind::decision, slot.area, found);
        auto const decoded = content ? decode_decision(*content) : Result<DecodedDecision>(Error{content.error()});
        if (!decoded) {
            view.error = decoded.error();
        } else if (decoded->decision.id != slot.newest) {
            view.error = "its area holds another decision";
        } else {
            view.state = key ? DecisionView::State::ok : DecisionView::State::unchecked;
            view.config = decoded->config;
            view.config_found = view.config == Hash{} || has_config(view.config);
        }
        return view;
    }
};

std::string time_text(std::int64_t wall_ms) {
    time_t const seconds = static_cast<time_t>(wall_ms / 1000);
    tm t{};
    char text[40];
    if (!::gmtime_r(&seconds, &t) || ::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &t) == 0) return "?";
    return text;
}

std::string hex(std::uint64_t v) {
    char text[20];
    std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(v));
    return text;
}

std::string id_text(DecisionId id) { return "term " + std::to_string(id.term) + ", index " + std::to_string(id.index); }

std::string slot_text(SlotView const& view) {
    switch (view.state) {
        case SlotView::State::never_written: return "never written\n";
        case SlotView::State::bad: return "BAD: " + view.error + "\n";
        case SlotView::State::ok:
        case SlotView::State::unchecked: break;
    }
    Slot const& s = view.slot;
    std::string text = s.state == Role::alone ? "alone" : "seeking";
    if (view.state == SlotView::State::unchecked) text += " (not authenticated: no key given)";
    text += "\n    incarnation " + hex(s.incarnation) + ", beat " + std::to_string(s.beat) + ", written " + time_text(s.wall_ms);
    text += "\n    alone-term " + std::to_string(s.alone_term) + ", stopped-term " + std::to_string(s.stopped_term) + "\n";
    return text;
}

std::string decision_text(DecisionView const& view) {
    switch (view.state) {
        case DecisionView::State::none: return "    no decision\n";
        case DecisionView::State::bad: return "    decision (" + id_text(view.id) + ") BAD: " + view.error + "\n";
        case DecisionView::State::ok:
        case DecisionView::State::unchecked: break;
    }
    return "    decision: " + id_text(view.id) + ", configuration " + to_hex(view.config).substr(0, 12) + (view.config_found ? "" : " MISSING") + "\n";
}

}  // namespace

Result<DiskView> quorum_show(std::string const& path, Key const* key) {
    auto disk = open_disk(path, DiskAccess::read);
    if (!disk) return Error{disk.error()};
    DiskView view;
    view.path = path;
    view.bytes = (*disk)->facts().bytes;
    view.block_device = (*disk)->facts().block_device;
    if (view.bytes < min_disk_bytes) return Error{path + " has " + std::to_string(view.bytes) + " bytes, a quorum disk has at least " + std::to_string(min_disk_bytes)};
    BlockBuffer front(disk_front_bytes);
    if (auto const got = (*disk)->read(0, front); !got) return Error{got.error()};
    if (!looks_like_disk_header(front.view())) return Error{path + " isn't initialised as a quorum disk; run: clusterctl quorum init " + path + " --cluster NAME"};
    auto header = decode_disk_header(front.view());
    if (!header) return Error{path + ": " + header.error()};
    view.header = *header;
    if (view.header.geometry.total() > view.bytes) return Error{path + " is shorter than its header says: it was made smaller"};
    std::optional<Key> const own = key ? std::optional<Key>(subkey(*key, Purpose::quorum_disk)) : std::nullopt;
    Looker looker{**disk, view.header, own ? &*own : nullptr};
    for (auto const node : both_nodes) {
        std::string_view const bytes = front.view().substr(view.header.geometry.slot(node), slot_bytes);
        SlotView& s = view.slots[at(node)];
        if (all_zero(bytes)) continue;
        auto const slot = decode_slot(bytes, view.header.binding(), node, looker.key);
        s.state = !slot ? SlotView::State::bad : key ? SlotView::State::ok : SlotView::State::unchecked;
        if (!slot) {
            s.error = slot.error();
            continue;
        }
        s.slot = *slot;
        view.decisions[at(node)] = looker.decision(node, *slot);
    }
    return view;
}

std::string to_text(DiskView const& view) {
    std::string text = view.path + ": quorum disk of the cluster '" + view.header.cluster + "', " + std::to_string(view.bytes >> 20) + " MiB, " +
                       (view.block_device ? "block device" : "file") + "\n";
    text += "  cluster uuid " + uuid_text(view.header.uuid) + ", disk id " + hex(view.header.disk) + ", made " + time_text(view.header.created_wall_ms) + "\n";
    for (auto const node : both_nodes) {
        text += std::string("  node ") + (node == NodeIndex::a ? "1" : "2") + ": " + slot_text(view.slots[at(node)]);
        auto const state = view.slots[at(node)].state;
        if (state == SlotView::State::ok || state == SlotView::State::unchecked) text += decision_text(view.decisions[at(node)]);
    }
    return text;
}

}  // namespace clusterd
