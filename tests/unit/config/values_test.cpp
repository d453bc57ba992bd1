// Values, words, dependencies and near names, each by itself.
#include "config/values.hpp"
#include "config/depends.hpp"
#include "config/nearest.hpp"
#include "config/secrets.hpp"
#include "config/words.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace clusterd {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(Durations, NeedAUnit) {
    EXPECT_EQ(*parse_duration("300ms"), 300ms);
    EXPECT_EQ(*parse_duration("7us"), 7us);
    EXPECT_EQ(*parse_duration("15min"), 15min);
    EXPECT_EQ(*parse_duration("6h"), 6h);
    EXPECT_EQ(*parse_duration("3650d"), 3650 * 24h);
    EXPECT_EQ(*parse_duration("0s"), 0s);
    for (char const* bad : {"", "s", "10", "-1s", "1.5s", "1 s", "1S", "1m", "3651d", "99999999999999999999s", "1ss", "+1s"})
        EXPECT_FALSE(parse_duration(bad)) << bad;
    EXPECT_THAT(parse_duration("10").error(), HasSubstr("has no unit"));
}

TEST(Durations, AreWrittenInTheLargestUnitThatLosesNothing) {
    for (char const* text : {"300ms", "1500ms", "15min", "1s", "90s", "1d", "7us", "0s"})
        EXPECT_EQ(format_duration(*parse_duration(text)), text);
    EXPECT_EQ(format_duration(60s), "1min");
}

TEST(Addresses, AreThoseThatAMachineCanHave) {
    EXPECT_EQ(format_address(*parse_address("192.168.50.1")), "192.168.50.1");
    EXPECT_EQ(format_address(*parse_address("FD00:0:0::01")), "fd00::1");
    EXPECT_EQ(*parse_address("fd00::1"), *parse_address("fd00:0:0:0:0:0:0:1"));
    for (char const* bad : {"", "1.2.3", "1.2.3.4.5", "01.2.3.4", "0.0.0.0", "224.0.0.1", "255.255.255.255", "::", "ff02::1",
                            "fe80::1", "fe80::1%eth0", "::ffff:1.2.3.4", "1.2.3.4/24", "host", "fd00::1::2"}) {
        EXPECT_FALSE(parse_address(bad)) << bad;
    }
    EXPECT_FALSE(parse_address(std::string_view("1.2.3.4\0x", 9)));
}

TEST(Addresses, WithPrefixAreNeitherNetworkNorBroadcast) {
    EXPECT_EQ(parse_address_prefix("10.0.0.100/24")->length, 24);
    EXPECT_EQ(parse_address_prefix("fd00::100/64")->length, 64);
    for (char const* good :
         {"10.0.0.0/32", "10.0.0.0/31", "10.0.0.1/31", "fd00::/128", "fd00::/127", "10.0.1.0/16", "fd00::ffff:ffff:ffff:ffff/64"}) {
        EXPECT_TRUE(parse_address_prefix(good)) << good;
    }
    for (char const* bad : {"10.0.0.1", "10.0.0.0/24", "10.0.0.255/24", "fd00::/64", "10.0.0.1/0", "10.0.0.1/33", "10.0.0.1/",
                            "10.0.0.1/x", "10.0.0.1/024444", "fd00::1/129", "10.0.0.1/24/24", "/24"}) {
        EXPECT_FALSE(parse_address_prefix(bad)) << bad;
    }
}

TEST(Names, AreShortAndPlainAndNoWordsOfDepends) {
    for (char const* good : {"a", "web-ip", "web.1_x", "0", "And"}) EXPECT_FALSE(check_name(good)) << good;
    EXPECT_FALSE(check_name(std::string(63, 'x')));
    EXPECT_TRUE(check_name(std::string(64, 'x')));
    for (char const* bad : {"", "-a", ".a", "a b", "a/b", "\xc3\xa4", "and", "or", "not", "a("})
        EXPECT_TRUE(check_name(bad)) << bad;
}

TEST(Values, OfOtherKinds) {
    EXPECT_EQ(*parse_failback("22:00-04:00"), (FailbackSpec{FailbackSpec::Kind::window, 1320, 240}));
    for (char const* bad : {"", "always", "22:00", "22:00-24:00", "2:00-4:00", "22:60-04:00", "04:00-04:00", "22:00-04:00-"})
        EXPECT_FALSE(parse_failback(bad)) << bad;
    EXPECT_EQ(parse_status_range("200")->to, 200);
    EXPECT_EQ(parse_status_range("200-399")->to, 399);
    for (char const* bad : {"", "20", "600", "099", "300-200", "200-", "-200", "2x0", "200-399-"})
        EXPECT_FALSE(parse_status_range(bad)) << bad;
    EXPECT_EQ(*parse_times("3"), 3);
    EXPECT_EQ(*parse_times("always"), times_always);
    for (char const* bad : {"", "-1", "never", "1000000"}) EXPECT_FALSE(parse_times(bad)) << bad;
    EXPECT_EQ(parse_ready("tcp:80")->port, 80);
    EXPECT_EQ(parse_ready("file:/run/x")->path, "/run/x");
    EXPECT_EQ(parse_ready("started")->kind, ReadyWhen::Kind::started);
    for (char const* bad : {"", "tcp:", "tcp:0", "tcp:65536", "tcp:8x", "file:", "file:x", "exec"})
        EXPECT_FALSE(parse_ready(bad)) << bad;
    EXPECT_EQ(*parse_integer("-5"), -5);
    for (char const* bad : {"", "x", "5x", " 5", "99999999999999999999", "0x5", "1.0"}) EXPECT_FALSE(parse_integer(bad)) << bad;
    EXPECT_EQ(parse_header("X-A:  b ")->second, "b");
    for (char const* bad : {"", "x", ":x", "a b: c", "a\r\n: b"}) EXPECT_FALSE(parse_header(bad)) << bad;
}

TEST(Urls, AreTakenApart) {
    auto const plain = *parse_url("http://10.0.0.1/x?y#z");
    EXPECT_EQ(plain.host, "10.0.0.1");
    EXPECT_EQ(plain.port, 80);
    EXPECT_EQ(plain.path, "/x?y#z");
    auto const six = *parse_url("https://[fd00::1]:8443?q");
    EXPECT_EQ(six.host, "fd00::1");
    EXPECT_EQ(six.port, 8443);
    EXPECT_EQ(six.path, "/?q");
    EXPECT_TRUE(parse_url("http://a:b@host/")->has_login);
    EXPECT_FALSE(parse_url("http://host/a@b")->has_login);
    for (char const* bad : {"", "http", "http://", "http:///x", "ftp://x/", "http://x:0/", "http://x:y/", "http://x:/",
                            "http://[fd00::1/", "http://[x]/", "http://fd00::1/", "http://a b/", "HTTP//x", "http://[fd00::1]x/"}) {
        EXPECT_FALSE(parse_url(bad)) << bad;
    }
}

TEST(Words, AreSplitAsAShellWould) {
    EXPECT_THAT(*split_words("/bin/nginx  -g 'daemon off;'"), ElementsAre("/bin/nginx", "-g", "daemon off;"));
    EXPECT_THAT(*split_words("a\\ b \"c \\\" \\\\ \\n $d\" e''f '' \t\n"), ElementsAre("a b", "c \" \\ \\n $d", "ef", ""));
    EXPECT_THAT(*split_words("'a'\\''b' $HOME *"), ElementsAre("a'b", "$HOME", "*"));
    EXPECT_THAT(*split_words("  "), ElementsAre());
    for (char const* bad : {"'a", "\"a", "a\\", "\"a\\\""}) EXPECT_FALSE(split_words(bad)) << bad;
    EXPECT_FALSE(split_words(std::string_view("a\0b", 3)));
}

TEST(Words, JoinedAndSplitAreTheSame) {
    std::vector<std::string> const words{"plain", "", "two words", "it's", "\"", "\\", "$x", "a=b", "\n"};
    EXPECT_EQ(*split_words(join_words(words)), words);
}

TEST(Words, OfAnEnvironment) {
    EXPECT_THAT(
        *parse_environment("A=1 B='two words' C= D=x=y"),
        ElementsAre(testing::Pair("A", "1"), testing::Pair("B", "two words"), testing::Pair("C", ""), testing::Pair("D", "x=y")));
    for (char const* bad : {"A", "1A=1", "=1", "A=1 A=2", "A-B=1", "'A=1"}) EXPECT_FALSE(parse_environment(bad)) << bad;
}

TEST(Words, Unescaped) {
    EXPECT_EQ(*unescape("PING\\r\\n\\x41\\\\\\t"), "PING\r\nA\\\t");
    EXPECT_EQ(*unescape("\\0"), std::string(1, '\0'));
    for (char const* bad : {"\\", "\\q", "\\x", "\\x4", "\\xg0"}) EXPECT_FALSE(unescape(bad)) << bad;
}

std::string written(Dependency const& d) {
    if (d.kind == Dependency::Kind::name) return d.name;
    std::string text = d.kind == Dependency::Kind::all ? "all(" : "any(";
    for (Dependency const& child : d.children) text += (text.back() == '(' ? "" : " ") + written(child);
    return text + ")";
}

TEST(Depends, AndBindsTighterThanOr) {
    auto const meaning = [](char const* text) { return written(*parse_depends(text)); };
    EXPECT_EQ(meaning("a"), "a");
    EXPECT_EQ(meaning("a b"), "all(a b)");
    EXPECT_EQ(meaning("a and b c"), "all(a b c)");
    EXPECT_EQ(meaning("a and b or c d"), "any(all(a b) all(c d))");
    EXPECT_EQ(meaning("a (b or c)"), "all(a any(b c))");
    EXPECT_EQ(meaning("(a or(b))and((c))"), "all(any(a b) c)");
    EXPECT_THAT(names_in(*parse_depends("a (b or c) a")), ElementsAre("a", "b", "c", "a"));
    for (char const* bad :
         {"", " ", "and", "a and", "a or", "or a", "a or or b", "(", ")", "()", "(a", "a)", "a,b", "not a", "a and or b"})
        EXPECT_FALSE(parse_depends(bad)) << bad;
}

TEST(Depends, ParenthesesAreBounded) {
    auto const nested = [](std::size_t depth) { return std::string(depth, '(') + "a" + std::string(depth, ')'); };
    EXPECT_TRUE(parse_depends(nested(32)));
    EXPECT_FALSE(parse_depends(nested(33)));
    EXPECT_FALSE(parse_depends(std::string(1'000'000, '(')));
}

TEST(Cycles, AreFoundWhereThereAreAny) {
    EXPECT_THAT(find_cycle({{"a", {"b", "c"}}, {"b", {"d"}}, {"c", {"d"}}}), ElementsAre());
    EXPECT_THAT(find_cycle({{"a", {"b"}}, {"b", {"c"}}, {"c", {"b"}}}), ElementsAre("b", "c", "b"));
    EXPECT_THAT(find_cycle({{"a", {"a"}}}), ElementsAre("a", "a"));
}

TEST(Nearest, IsTheNameMeant) {
    EXPECT_EQ(edit_distance("kitten", "sitting"), 3U);
    EXPECT_EQ(edit_distance("ab", "ba"), 1U);
    EXPECT_EQ(edit_distance("", "abc"), 3U);
    EXPECT_EQ(nearest("prefered", {"preferred", "priority"}), "preferred");
    EXPECT_EQ(nearest("ip_address", {"ip-address", "process"}), "ip-address");
    EXPECT_EQ(nearest("zzz", {"abc", "process"}), "");
    EXPECT_EQ(nearest("x", {"y"}), "");
    EXPECT_EQ(nearest("", {"ab"}), "");
}

TEST(Secrets, AreKnownByTheirNames) {
    for (char const* name : {"password", "db-password", "DB_PASSWORD", "secret", "token", "key", "api_key", "X-Api-Key",
                             "AWS_SECRET_ACCESS_KEY", "auth", "pass"}) {
        EXPECT_TRUE(names_a_secret(name)) << name;
    }
    for (char const* name :
         {"password-file", "POSTGRES_PASSWORD_FILE", "keyboard", "monkey", "user", "environment", "SECRET_DIR", "author"}) {
        EXPECT_FALSE(names_a_secret(name)) << name;
    }
}

}  // namespace
}  // namespace clusterd
