// What the keys of `status --watch` mean: which line is chosen, what is asked before anything is done, and which command it is then. Pure, so
// tests press the keys. For status_verb.cpp, which draws, reads keys and runs clusterctl itself for the command.
#pragma once

#include "clusterd/clusterctl/terminal.hpp"
#include "clusterd/core/status.hpp"

#include <optional>
#include <string>
#include <vector>

namespace clusterd::tool {

class Watch {
public:
    enum class Key : std::uint8_t { up, down, character, escape };
    struct Order {
        enum class What : std::uint8_t { nothing, quit, run, why };
        What what = What::nothing;
        std::vector<std::string> arguments;  // run: of clusterctl; why: the name
    };

    void show(Status const& status);  // as it is now; the chosen line stays chosen while it is there
    Order on_key(Key key, char character = 0);
    std::string const& chosen() const { return chosen_; }
    // The line below: the question that waits for an answer, or what the keys do with the chosen line.
    std::string bar() const;

private:
    struct Item {
        enum class Kind : std::uint8_t { node, group, resource };
        Kind kind = Kind::group;
        std::string name;
        std::string elsewhere;  // group: the other node
        bool paused = false;    // node
    };
    Item const* item() const;
    void ask(std::string question, std::vector<std::string> arguments);

    std::vector<Item> items_;
    std::string chosen_;
    std::string question_;
    std::vector<std::string> asked_;  // what is done if the answer is yes
};

// The line of `text` that begins with that name, in reverse; escape sequences in it stay what they are.
std::string with_line_marked(std::string const& text, std::string const& name);

}  // namespace clusterd::tool
