/// What a job costs; the tests fail when it costs more.
///
/// Each line is a name, a figure, and by what part of it the figure may be exceeded. To set figures anew, run
/// `swift test --filter CostTests`, and put the lines that it prints here: they are in this form, and in this order.
///
/// Tolerances were chosen by twenty runs on two cores, a third of them beside four busy loops and two builds. What a
/// transaction takes was always the same, and may not grow at all; so were Redis commands and rows of history. Bytes of
/// WAL were within 6 % (leases are renewed meanwhile), and of history on disk, which are whole pages, within 9 %. How many
/// jobs share a transaction depends on the load: with many keys, sums of statements and round trips were up to 1.7 times
/// the least, and a faster machine's transactions are smaller still; with none shared, they would be six or seven, and
/// three.
enum CostTable {
    /// Of a job in a drain by one worker with three lock nodes; of a transaction; of submissions.
    static let path = [
        Cost("a batch of 1,000: statements", 1, 0.0),
        Cost("a batch of 1,000: round trips", 1, 0.0),
        Cost("a batch of 1,000: WAL bytes per job", 625, 0.05),
        Cost("a single job: statements", 1, 0.0),
        Cost("a single job: round trips", 1, 0.0),
        Cost("a single job: WAL bytes per job", 654, 0.05),
        Cost("distinct keys: statements", 0.09, 2.0),
        Cost("distinct keys: round trips", 0.04, 2.0),
        Cost("distinct keys: Redis commands", 15, 0.05),
        Cost("distinct keys: WAL bytes", 2335, 0.08),
        Cost("distinct keys: history rows", 2, 0.05),
        Cost("distinct keys: bytes of history rows", 770, 0.05),
        Cost("distinct keys: bytes of history on disk", 1049, 0.15),
        Cost("a claim: statements", 4, 0.0),
        Cost("a claim: round trips", 2, 0.0),
        Cost("a record: statements", 1, 0.0),
        Cost("a record: round trips", 1, 0.0),
        Cost("a settle: statements", 6, 0.0),
        Cost("a settle: round trips", 2, 0.0),
        Cost("runs: statements", 0.164, 2.0),
        Cost("runs: round trips", 0.111, 2.0),
        Cost("runs: Redis commands", 15, 0.05),
        Cost("runs: WAL bytes", 1896, 0.08),
        Cost("runs: history rows", 2, 0.05),
        Cost("runs: bytes of history rows", 770, 0.05),
        Cost("runs: bytes of history on disk", 1032, 0.15),
        Cost("one key: statements", 1.21, 0.1),
        Cost("one key: round trips", 1.09, 0.1),
        Cost("one key: Redis commands", 15, 0.05),
        Cost("one key: WAL bytes", 1870, 0.08),
        Cost("one key: history rows", 2, 0.05),
        Cost("one key: bytes of history rows", 754, 0.05),
        Cost("one key: bytes of history on disk", 1024, 0.15),
    ]

    /// Of an item, in a debug build by Swift 6.3: the same to 3 % in each run, and another compiler has others.
    static let instructions = [
        Cost("read a submission", 131_531, 0.15),
        Cost("read a line of a batch", 177_223, 0.15),
        Cost("write a job's JSON", 123_768, 0.15),
        Cost("ask a node to lock and to release", 112_407, 0.15),
        Cost("read a node's answers", 14553, 0.15),
        Cost("store a job", 87746, 0.15),
        Cost("claim a job", 121_315, 0.15),
        Cost("record a hold", 272_573, 0.15),
        Cost("settle a job", 325_114, 0.15),
    ]
}
