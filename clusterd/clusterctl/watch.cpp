#include "clusterd/clusterctl/watch.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace clusterd::tool {

void Watch::show(Status const& s) {
    items_.clear();
    for (auto const& n : s.nodes) items_.push_back({Item::Kind::node, n.name, {}, n.paused});
    for (auto const& g : s.groups) {
        items_.push_back({Item::Kind::group, g.name, g.owner ? s.nodes[at(other(*g.owner))].name : std::string(), false});
        for (auto const& r : g.resources) items_.push_back({Item::Kind::resource, r.name, {}, false});
    }
    if (item()) return;
    chosen_ = s.groups.empty() ? (items_.empty() ? "" : items_.front().name) : s.groups.front().name;
    question_.clear();  // what it was about is gone
}

Watch::Item const* Watch::item() const {
    auto const it = std::find_if(items_.begin(), items_.end(), [this](Item const& i) { return i.name == chosen_; });
    return it == items_.end() ? nullptr : &*it;
}

void Watch::ask(std::string question, std::vector<std::string> arguments) {
    question_ = std::move(question);
    asked_ = std::move(arguments);
}

Watch::Order Watch::on_key(Key key, char c) {
    using What = Order::What;
    if (!question_.empty()) {
        question_.clear();
        bool const yes = key == Key::character && (c == 'y' || c == 'Y');
        return yes ? Order{What::run, asked_} : Order{};
    }
    Item const* const i = item();
    if (key == Key::up || key == Key::down || (key == Key::character && (c == 'j' || c == 'k' || c == '\t'))) {
        bool const up = key == Key::up || (key == Key::character && c == 'k');
        if (!i) return {};
        auto const at = static_cast<std::size_t>(i - items_.data());
        chosen_ = items_[(at + (up ? items_.size() - 1 : 1)) % items_.size()].name;
        return {};
    }
    if (key != Key::character) return {};
    if (c == 'q' || c == 'Q') return {What::quit, {}};
    if (!i) return {};
    std::string const& name = i->name;
    if (c == 'w') return {What::why, {name}};
    bool const runs = i->kind != Item::Kind::node;
    if (c == 'm' && i->kind == Item::Kind::group && !i->elsewhere.empty()) ask(fmt::format("Move group {} to {}?", name, i->elsewhere), {"move", name});
    if (c == 'o' && runs) ask(fmt::format("Bring {} online?", name), {"online", name});
    if (c == 'f' && runs) ask(fmt::format("Take {} offline?", name), {"offline", name});
    if (c == 'r' && runs) ask(fmt::format("Forget the failures of {} and try it again?", name), {"reset", name});
    if (c == 'p' && !runs && !i->paused) ask(fmt::format("Pause {} and move its groups away?", name), {"pause", name, "--drain"});
    if (c == 'p' && !runs && i->paused) ask(fmt::format("End the pause of {}, and bring back what was moved away?", name), {"resume", name, "--failback"});
    return {};
}

std::string Watch::bar() const {
    if (!question_.empty()) return question_ + " [y/N]";
    Item const* const i = item();
    if (!i) return "q quit";
    std::string text = i->name + ": w why";
    if (i->kind == Item::Kind::node) text += i->paused ? "  p end the pause" : "  p pause";
    if (i->kind == Item::Kind::group) text += "  m move";
    if (i->kind != Item::Kind::node) text += "  o online  f offline  r reset";
    return text + "   up/down choose  q quit";
}

std::string with_line_marked(std::string const& text, std::string const& name) {
    std::string out;
    bool marked = false;
    for (std::size_t at = 0; at < text.size();) {
        std::size_t const end = std::min(text.find('\n', at), text.size());
        std::string line = text.substr(at, end - at), plain;
        for (std::size_t i = 0; i < line.size(); ++i) {
            if (line[i] == '\x1b') i = std::min(line.find('m', i), line.size());
            else plain += line[i];
        }
        std::size_t const from = plain.find_first_not_of(' ');
        bool const its = !marked && !name.empty() && from != std::string::npos && plain.compare(from, name.size(), name) == 0 && (plain.size() == from + name.size() || plain[from + name.size()] == ' ');
        if (its) {
            marked = true;
            for (std::size_t i = 0; (i = line.find("\x1b[0m", i)) != std::string::npos; i += 6) line.replace(i, 4, "\x1b[0;7m");
            line = "\x1b[7m" + line + "\x1b[0m";
        }
        out += line;
        if (end < text.size()) out += '\n';
        at = end + 1;
    }
    return out;
}

}  // namespace clusterd::tool
