// Any bytes as what a PostgreSQL server answers: read, refused or waited for, never a crash, and nothing that is longer than its bytes.
#include "agents/postgres_answer.hpp"
#include "agents/scram.hpp"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(unsigned char const* data, std::size_t size) {
    std::string_view in(reinterpret_cast<char const*>(data), size);
    if (in.find("i=1") != std::string_view::npos && in.find("00") == std::string_view::npos) {  // not a second of hashing for each input
        if (auto const made = clusterd::scram_final("pencil", "r", in); made && made->message.empty()) std::abort();
    }
    while (auto const m = clusterd::read_postgres_message(in)) {
        if (m->type == 0) {
            if (m->size != 0) std::abort();
            break;
        }
        if (m->size == 0 || m->size > in.size() || m->body.size() >= m->size) std::abort();
        auto const error = clusterd::read_postgres_error(*m);
        auto const row = clusterd::read_postgres_first_value(m->body);
        auto const parameter = clusterd::read_postgres_parameter(m->body);
        if (error.message.size() > size || (row && row->size() > size) || (parameter && parameter->second.size() > size)) std::abort();
        if (auto const wants = clusterd::read_postgres_authentication(m->body)) clusterd::offers_mechanism(wants->data, "SCRAM-SHA-256");
        in.remove_prefix(m->size);
    }
    return 0;
}
