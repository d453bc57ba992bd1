// Which mutant this program runs: CLUSTERD_MUTANT=NUMBER, a place in rules.py's list. 0 or nothing: none, the core as it is.
#include <cstdlib>

namespace clusterd {
extern int mutant;
int mutant = [] {
    char const* const number = std::getenv("CLUSTERD_MUTANT");
    return number ? std::atoi(number) : 0;
}();
}  // namespace clusterd
