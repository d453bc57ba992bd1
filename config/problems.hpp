// Collects what is wrong with a file. Inside config/ only.
#pragma once

#include "config/parse.hpp"

namespace clusterd {

class ProblemList {
public:
    void error(int line, std::string message) { add({line, false, std::move(message)}); }
    void warning(int line, std::string message) { add({line, true, std::move(message)}); }
    bool any_error() const { return errors_ > 0; }
    // No more will be told in full: searching for names that are near would be work for nothing.
    bool full() const { return problems_.size() >= config_max_problems; }
    // By line, the order of finding within one; at the end how many more there are.
    std::vector<Problem> take();

private:
    void add(Problem problem);
    std::vector<Problem> problems_;
    std::size_t errors_ = 0, dropped_ = 0;
};

// A value from the file as a message may show it: in quotes, printable, shortened.
std::string quoted(std::string_view value);

}  // namespace clusterd
