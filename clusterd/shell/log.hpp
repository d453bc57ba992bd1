// Where the worker's events go besides its history: the journal with fields, or a line on stderr. Used by history.cpp and main.cpp.
#pragma once

#include "clusterd/wire/api.hpp"

namespace clusterd {

class Log {
public:
    // "journal", "text", "json"; empty: journal where stderr goes there (JOURNAL_STREAM), else text.
    explicit Log(std::string format);
    void write(EventRecord const& event) const;

private:
    std::string format_;
};

}  // namespace clusterd
