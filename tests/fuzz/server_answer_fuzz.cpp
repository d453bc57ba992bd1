// Any bytes as what a Redis, an NFS or an SMB server answers: read, refused or waited for, never a crash, and no reply longer than its bytes.
#include "agents/redis_answer.hpp"
#include "agents/rpc.hpp"
#include "agents/smb_answer.hpp"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(unsigned char const* data, std::size_t size) {
    std::string_view const in(reinterpret_cast<char const*>(data), size);
    if (auto const reply = clusterd::read_redis_reply(in); reply && (reply->size > in.size() || reply->text.size() > in.size())) std::abort();
    if (auto const reply = clusterd::read_null_reply(in, 7); reply && *reply && size < 28) std::abort();
    if (auto const reply = clusterd::read_smb_negotiate(in); reply && *reply && size < 132) std::abort();
    if (clusterd::smb_status_in(in).size() > 80) std::abort();
    return 0;
}
