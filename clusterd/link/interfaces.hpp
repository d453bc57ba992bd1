// The machine's network interfaces, kept up to date by rtnetlink. For networks.cpp.
#pragma once

#include "clusterd/core/result.hpp"
#include "clusterd/link/address.hpp"
#include "clusterd/shell/loop.hpp"

#include <functional>
#include <map>
#include <optional>
#include <string>

namespace clusterd {

struct Interface {
    int index = 0;
    std::string name;
    bool enabled = false;  // set up by the administrator
    bool carrier = false;
    bool operator==(Interface const&) const = default;
};

class Interfaces {
public:
    // `changed` after the first complete list and after anything that may matter; `failed` where netlink can't be had or was lost.
    Interfaces(Loop& loop, std::function<void()> changed, std::function<void(std::string)> failed);
    std::optional<Interface> find(std::string const& name) const;

private:
    void open();
    void ask_for_all();
    void readable();
    bool take(char const* data, std::size_t size);

    Loop& loop_;
    std::function<void()> changed_;
    std::function<void(std::string)> failed_;
    Fd fd_;
    Loop::HandlePtr watch_, retry_;
    bool complete_ = false;
    std::map<int, Interface> by_index_;
};

}  // namespace clusterd
