// The keys of `status --watch`: nothing is done without a yes, and what is done is about the line that is chosen.
#include "clusterd/clusterctl/watch.hpp"
#include "fake_daemon.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace clusterd::tool {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using What = Watch::Order::What;
using Key = Watch::Key;

struct Watching : ::testing::Test {
    Watching() { watch.show(status); }
    Watch::Order press(char c) { return watch.on_key(Key::character, c); }
    Status status = clusterd::testing::well_status();
    Watch watch;
};

TEST_F(Watching, BeginsWithTheFirstGroupAndGoesRound) {
    EXPECT_EQ(watch.chosen(), "web");
    watch.on_key(Key::down);
    EXPECT_EQ(watch.chosen(), "web-ip");
    watch.on_key(Key::down);
    watch.on_key(Key::down);
    EXPECT_EQ(watch.chosen(), "alpha");  // behind the last comes the first
    watch.on_key(Key::up);
    EXPECT_EQ(watch.chosen(), "web-server");
}

TEST_F(Watching, NothingIsDoneWithoutAYes) {
    for (char const no : {'n', 'q', 'm', '\n', ' '}) {
        EXPECT_EQ(press('m').what, What::nothing);
        EXPECT_THAT(watch.bar(), HasSubstr("Move group web to beta? [y/N]"));
        EXPECT_EQ(press(no).what, What::nothing) << no;
        EXPECT_THAT(watch.bar(), HasSubstr("web: w why"));
    }
    press('m');
    EXPECT_EQ(watch.on_key(Key::escape).what, What::nothing);
    press('m');
    Watch::Order const order = press('y');
    EXPECT_EQ(order.what, What::run);
    EXPECT_THAT(order.arguments, ElementsAre("move", "web"));
}

TEST_F(Watching, WhatAKeyDoesDependsOnTheLine) {
    press('o');
    EXPECT_THAT(press('y').arguments, ElementsAre("online", "web"));
    watch.on_key(Key::down);
    press('m');  // a resource isn't moved
    EXPECT_EQ(press('y').what, What::nothing);
    press('f');
    EXPECT_THAT(press('y').arguments, ElementsAre("offline", "web-ip"));
    while (watch.chosen() != "beta") watch.on_key(Key::up);
    press('o');  // a node isn't brought online
    EXPECT_EQ(press('y').what, What::nothing);
    press('p');
    EXPECT_THAT(press('y').arguments, ElementsAre("pause", "beta", "--drain"));
    status.nodes[1].paused = true;
    watch.show(status);
    press('p');
    EXPECT_THAT(press('y').arguments, ElementsAre("resume", "beta", "--failback"));
    EXPECT_THAT(press('w').arguments, ElementsAre("beta"));
    EXPECT_EQ(press('q').what, What::quit);
}

// A configuration without it was applied meanwhile: the question was about something that isn't there any more.
TEST_F(Watching, ALineThatIsGoneTakesItsQuestionAlong) {
    press('m');
    status.groups[0].name = "other";
    watch.show(status);
    EXPECT_EQ(watch.chosen(), "other");
    EXPECT_EQ(press('y').what, What::nothing);
}

TEST(WatchMark, TheChosenLineIsInReverseAndKeepsItsColours) {
    EXPECT_EQ(with_line_marked("web-2\n  web on\nweb\n", "web"), "web-2\n\x1b[7m  web on\x1b[0m\nweb\n");
    EXPECT_EQ(with_line_marked("\x1b[1mweb\x1b[0m \x1b[32monline\x1b[0m", "web"), "\x1b[7m\x1b[1mweb\x1b[0;7m \x1b[32monline\x1b[0;7m\x1b[0m");
    EXPECT_EQ(with_line_marked("a\n", ""), "a\n");
}

}  // namespace
}  // namespace clusterd::tool
