/// What a job costs; the tests fail when it costs more.
///
/// Each line is a name, a figure, and by what part of it the figure may be exceeded. To set figures anew, run
/// `swift test --filter CostTests`, and put the lines that it prints here: they are in this form, and in this order.
///
/// Tolerances were chosen by twenty runs on two cores, a third of them beside four busy loops and two builds. What a
/// transaction takes was always the same, and may not grow at all; so were Redis commands and rows of history. Bytes of
/// WAL were within 6 % (heartbeats are written meanwhile), and of history on disk, which are whole pages, within 9 %. How many
/// jobs share a transaction depends on the load: with many keys, sums of statements and round trips were up to 1.7 times
/// the least, and a faster machine's transactions are smaller still; with none shared, they would be three each. How many
/// jobs share a hold depends on how long a tenth of a second is for the machine: a slow one has more holds for a run.
enum CostTable {
    /// Of a job in a drain by one worker with three lock nodes; of a transaction; of submissions.
    static let path = [
        Cost("a batch of 1,000: statements", 1, 0.0),
        Cost("a batch of 1,000: round trips", 1, 0.0),
        Cost("a batch of 1,000: WAL bytes per job", 653, 0.05),
        Cost("a single job: statements", 1, 0.0),
        Cost("a single job: round trips", 1, 0.0),
        Cost("a single job: WAL bytes per job", 682, 0.05),
        Cost("distinct keys: statements", 0.038, 2.0),
        Cost("distinct keys: round trips", 0.038, 2.0),
        Cost("distinct keys: Redis commands", 15, 0.05),
        Cost("distinct keys: WAL bytes", 1723, 0.08),
        Cost("distinct keys: history rows", 2, 0.05),
        Cost("distinct keys: bytes of history rows", 289, 0.05),
        Cost("distinct keys: bytes of history on disk", 483, 0.15),
        Cost("a claim: statements", 1, 0.0),
        Cost("a claim: round trips", 1, 0.0),
        Cost("a settle: statements", 1, 0.0),
        Cost("a settle: round trips", 1, 0.0),
        Cost("runs: statements", 0.032, 4.0),
        Cost("runs: round trips", 0.032, 4.0),
        Cost("runs: Redis commands", 4.73, 1.5),
        Cost("runs: WAL bytes", 828, 0.8),
        Cost("runs: history rows", 1.14, 0.6),
        Cost("runs: bytes of history rows", 155, 0.8),
        Cost("runs: bytes of history on disk", 262, 0.9),
        Cost("one key: statements", 0.105, 4.0),
        Cost("one key: round trips", 0.105, 4.0),
        Cost("one key: Redis commands", 3.24, 1.5),
        Cost("one key: WAL bytes", 753, 0.8),
        Cost("one key: history rows", 1.02, 0.6),
        Cost("one key: bytes of history rows", 123, 0.8),
        Cost("one key: bytes of history on disk", 164, 0.9),
    ]

    /// Of an item, in a debug build by Swift 6.3: the same to 3 % in each run, and another compiler has others.
    static let instructions = [
        Cost("read a submission", 168_115, 0.15),
        Cost("read a line of a batch", 224_096, 0.15),
        Cost("write a job's JSON", 123_768, 0.15),
        Cost("ask a node to lock and to release", 112_407, 0.15),
        Cost("read a node's answers", 14553, 0.15),
        Cost("store a job", 87746, 0.15),
        Cost("claim a job", 106_598, 0.15),
        Cost("record a hold", 272_573, 0.15),
        Cost("settle a job", 258_781, 0.15),
    ]
}
