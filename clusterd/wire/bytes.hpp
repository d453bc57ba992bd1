// Little-endian bytes, written and read with bounds: what every fixed binary encoding of this room is made with.
//
// A Reader never reads past its end and never throws. Its first failure sticks: from then on every read returns zero or empty, so
// a decoder reads all its fields in a row and asks once, at the end, with finish(). Loops over a count stop because count() checks
// that so many elements can fit into what is left.
#pragma once

#include "clusterd/core/ids.hpp"
#include "clusterd/core/result.hpp"
#include "clusterd/core/time.hpp"

#include <array>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>

namespace clusterd::wire {

class Writer {
public:
    void u8(std::uint8_t v) { out_.push_back(static_cast<char>(v)); }
    void u16(std::uint16_t v) { number(v); }
    void u32(std::uint32_t v) { number(v); }
    void u64(std::uint64_t v) { number(v); }
    void i32(std::int32_t v) { number(static_cast<std::uint32_t>(v)); }
    void i64(std::int64_t v) { number(static_cast<std::uint64_t>(v)); }
    void boolean(bool v) { u8(v ? 1 : 0); }
    void instant(Instant v) { i64(v.ns); }
    void decision_id(DecisionId v) { u64(v.term), u64(v.index); }
    template <class E>
    requires std::is_enum_v<E>
    void enumeration(E v) {
        static_assert(sizeof(E) == 1);
        u8(static_cast<std::uint8_t>(v));
    }
    template <std::size_t N>
    void bytes(std::array<std::uint8_t, N> const& v) {
        out_.append(reinterpret_cast<char const*>(v.data()), N);
    }
    void raw(std::string_view v) { out_.append(v); }  // without a length
    void string(std::string_view v) {                 // u32 length, then the bytes
        u32(static_cast<std::uint32_t>(v.size()));
        out_.append(v);
    }
    void count(std::size_t n) { u32(static_cast<std::uint32_t>(n)); }  // of a list that follows

    std::size_t size() const { return out_.size(); }
    std::string_view view() const { return out_; }
    std::string take() { return std::move(out_); }

private:
    template <std::unsigned_integral T>
    void number(T v) {
        for (std::size_t i = 0; i < sizeof(T); ++i) out_.push_back(static_cast<char>(static_cast<std::uint8_t>(v >> (8 * i))));
    }
    std::string out_;
};

class Reader {
public:
    explicit Reader(std::string_view in) : in_(in) {}

    std::uint8_t u8() { return number<std::uint8_t>(); }
    std::uint16_t u16() { return number<std::uint16_t>(); }
    std::uint32_t u32() { return number<std::uint32_t>(); }
    std::uint64_t u64() { return number<std::uint64_t>(); }
    std::int32_t i32() { return static_cast<std::int32_t>(u32()); }
    std::int64_t i64() { return static_cast<std::int64_t>(u64()); }
    Instant instant() { return Instant{i64()}; }
    DecisionId decision_id() {
        DecisionId id;
        id.term = u64();
        id.index = u64();
        return id;
    }
    bool boolean() {
        std::uint8_t const v = u8();
        if (v > 1) fail("a yes-or-no byte is neither 0 nor 1");
        return v == 1;
    }
    // Values above `last` are refused.
    template <class E>
    requires std::is_enum_v<E> E enumeration(E last) {
        std::uint8_t const v = u8();
        if (v > static_cast<std::uint8_t>(last)) {
            fail("value " + std::to_string(v) + " is unknown (at most " + std::to_string(static_cast<int>(last)) + ")");
            return E{};
        }
        return static_cast<E>(v);
    }
    NodeIndex node() { return enumeration(NodeIndex::b); }
    template <std::size_t N>
    std::array<std::uint8_t, N> bytes() {
        std::array<std::uint8_t, N> v{};
        std::string_view const b = raw(N);
        if (b.size() == N) std::memcpy(v.data(), b.data(), N);
        return v;
    }
    std::string_view raw(std::size_t n) {
        if (n > left()) {
            fail("it ends early: " + std::to_string(n) + " bytes expected at offset " + std::to_string(at_) + ", " +
                 std::to_string(left()) + " left");
            return {};
        }
        std::string_view const v = in_.substr(at_, n);
        at_ += n;
        return v;
    }
    std::string string(std::size_t max) {
        std::uint32_t const n = u32();
        if (n > max) {
            fail("a text of " + std::to_string(n) + " bytes where at most " + std::to_string(max) + " are allowed");
            return {};
        }
        return std::string(raw(n));
    }
    // The length of a list: at most `max`, and no more elements than could fit at `min_size` (>= 1) bytes each.
    std::size_t count(std::size_t max, std::size_t min_size) {
        std::uint32_t const n = u32();
        if (n > max || n > left() / min_size) {
            fail("a list of " + std::to_string(n) + " where at most " + std::to_string(max) + " are allowed or fit");
            return 0;
        }
        return n;
    }

    std::size_t left() const { return error_.empty() ? in_.size() - at_ : 0; }
    bool ok() const { return error_.empty(); }
    void fail(std::string why) {
        if (error_.empty()) error_ = std::move(why);
    }
    // The end: an error if a read failed or bytes are left over.
    Result<Done> finish(char const* what) {
        if (ok() && at_ != in_.size()) fail(std::to_string(in_.size() - at_) + " bytes too many at the end");
        if (!ok()) return Error{std::string(what) + " can't be read: " + error_};
        return Done{};
    }

private:
    template <std::unsigned_integral T>
    T number() {
        std::string_view const b = raw(sizeof(T));
        if (b.size() != sizeof(T)) return 0;
        std::uint64_t v = 0;
        for (std::size_t i = 0; i < sizeof(T); ++i) v |= std::uint64_t{static_cast<std::uint8_t>(b[i])} << (8 * i);
        return static_cast<T>(v);
    }
    std::string_view in_;
    std::size_t at_ = 0;
    std::string error_;
};

// The longest of what may stand in a decision or report. Configurations keep to them (config/ limits names far below).
inline constexpr std::size_t max_name = 256;
inline constexpr std::size_t max_message = 8192;  // longer ones are clipped when written
inline constexpr std::size_t max_groups = 1024;
inline constexpr std::size_t max_resources = 8192;
inline constexpr std::size_t max_ledger = 1024;
inline constexpr std::size_t max_xml = 4u << 20;

// At most `max` bytes of `text`, not ending within a UTF-8 character.
inline std::string_view clip(std::string_view text, std::size_t max) {
    if (text.size() <= max) return text;
    while (max > 0 && (static_cast<std::uint8_t>(text[max]) & 0xc0) == 0x80) --max;
    return text.substr(0, max);
}

}  // namespace clusterd::wire
