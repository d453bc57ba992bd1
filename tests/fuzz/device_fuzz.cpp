// Any bytes as a device that `quorum init` looks at and the daemon opens: a device of any size and content is told or refused.
// The first two bytes are the device's length in blocks, the rest its beginning.
#include "clusterd/quorum/session.hpp"
#include "clusterd/quorum/signatures.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace {

using namespace clusterd;

class Image final : public DiskFile {
public:
    Image(std::string_view beginning, std::uint64_t bytes) : beginning_(beginning) { facts_.bytes = bytes; }
    Result<Done> read(std::uint64_t offset, BlockBuffer& into) override {
        if (offset > facts_.bytes || into.size() > facts_.bytes - offset) return Error{"it ends before that"};
        std::memset(into.data(), 0, into.size());
        if (offset < beginning_.size())
            std::memcpy(into.data(), beginning_.data() + offset, std::min(into.size(), beginning_.size() - offset));
        return Done{};
    }
    Result<Done> write(std::uint64_t, BlockBuffer const&) override { return Error{"nothing is written in this test"}; }

private:
    std::string_view beginning_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    if (size < 2) return 0;
    std::uint64_t const bytes = static_cast<std::uint64_t>(data[0] | data[1] << 8) * 512;
    std::string_view const beginning(reinterpret_cast<char const*>(data) + 2, size - 2);
    Image image(beginning, bytes);
    if (auto const seen = look_at(image); seen && seen->data_at && *seen->data_at >= bytes) std::abort();

    DiskSession::Settings settings;
    settings.path = "/dev/fuzz";
    settings.cluster = "fuzz";
    settings.parse_config = [](std::string) { return Result<ConfigPtr>(Error{"none"}); };
    settings.opener = [&](std::string const&, DiskAccess) { return Result<std::unique_ptr<DiskFile>>(std::make_unique<Image>(beginning, bytes)); };
    settings.clock = [] { return Instant{}; };
    DiskSession session(settings);
    if (auto const slots = session.read_slots(); !slots && slots.error().find("/dev/fuzz") == std::string::npos) std::abort();
    (void)session.load_decisions();
    return 0;
}
