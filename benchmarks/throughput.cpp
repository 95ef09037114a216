// The near-limit of `throughput.py`: the same model with the same data structures, in C++.
// Arguments: a directory with queued.bin, duration.bin (int64 quanta, a row a task) and fleet.bin
// (int64 created, ready, stopped in quanta, a row a worker, by created), the slots per worker, the tick in
// quanta.  Writes started.bin; prints seconds of the processor and peak KiB.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <queue>
#include <string>
#include <vector>

using Column = std::vector<int64_t>;
constexpr int64_t NEVER = INT64_MAX;

static Column read(const std::string& path) {
    std::ifstream file(path, std::ios::binary | std::ios::ate);
    Column column(static_cast<size_t>(file.tellg()) / sizeof(int64_t));
    file.seekg(0);
    file.read(reinterpret_cast<char*>(column.data()), static_cast<std::streamsize>(column.size() * 8));
    return column;
}

// Not getrusage: that counts what the parent held when it forked.
static long peak_kib() {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);)
        if (line.rfind("VmHWM:", 0) == 0) return std::atol(line.c_str() + 6);
    return 0;
}

struct Fleet {
    int64_t slots;
    Column free;
    std::vector<uint64_t> words;
    std::vector<char> running;

    void offer(size_t worker) { words[worker >> 6] |= uint64_t{1} << (worker & 63); }
    void close(size_t worker) { words[worker >> 6] &= ~(uint64_t{1} << (worker & 63)); }
    int64_t lowest() const {
        for (size_t word = 0; word < words.size(); ++word)
            if (words[word]) return static_cast<int64_t>(word * 64) + __builtin_ctzll(words[word]);
        return -1;
    }
};

struct WinnerTree {
    size_t leaves;
    Column keys;
    void set(size_t leaf, int64_t key) {
        size_t node = leaf + leaves;
        keys[node] = key;
        while (node > 1) {
            key = std::min(key, keys[node ^ 1]);
            node >>= 1;
            keys[node] = key;
        }
    }
};

int main(int, char** argv) {
    const std::string directory = argv[1];
    const int64_t slots = std::atoll(argv[2]), tick = std::atoll(argv[3]);
    const Column queued = read(directory + "/queued.bin"), duration = read(directory + "/duration.bin");
    const Column table = read(directory + "/fleet.bin");
    const size_t tasks = queued.size(), workers = table.size() / 3;

    const std::clock_t begin = std::clock();
    int shift = 6;
    while ((size_t{1} << shift) < std::min(tasks, workers * static_cast<size_t>(slots))) ++shift;
    const size_t leaves = size_t{1} << shift;
    WinnerTree tree{leaves, Column(2 * leaves, NEVER)};
    std::vector<uint32_t> worker_of(leaves), spare;
    for (size_t leaf = leaves; leaf-- > 0;) spare.push_back(static_cast<uint32_t>(leaf));
    Fleet fleet{slots, Column(workers, slots), std::vector<uint64_t>((workers + 63) / 64), std::vector<char>(workers)};
    using Ready = std::pair<int64_t, size_t>;
    std::priority_queue<Ready, std::vector<Ready>, std::greater<>> ready;
    Column started(tasks);
    size_t created = 0, arrived = 0, head = 0, ended = 0;
    int64_t look = 0, seen = 0;

    while (ended < tasks) {
        int64_t at = std::min(tree.keys[1] >> shift, arrived < tasks ? queued[arrived] : NEVER);
        if (!ready.empty()) at = std::min(at, ready.top().first);
        if (at > look) {  // the tick: look, then let workers come and go
            seen += static_cast<int64_t>(arrived - head);
            for (; created < workers && table[3 * created] <= look; ++created)
                ready.emplace(table[3 * created + 1], created);
            for (size_t worker = 0; worker < created; ++worker)
                if (fleet.running[worker] && table[3 * worker + 2] <= look) {
                    fleet.running[worker] = 0;
                    fleet.close(worker);
                }
            look += tick;
            continue;
        }
        while (tree.keys[1] >> shift == at) {
            const size_t leaf = static_cast<size_t>(tree.keys[1]) & (leaves - 1), worker = worker_of[leaf];
            if (fleet.free[worker]++ == 0 && fleet.running[worker]) fleet.offer(worker);
            spare.push_back(static_cast<uint32_t>(leaf));
            tree.set(leaf, NEVER);
            ++ended;
        }
        for (; !ready.empty() && ready.top().first == at; ready.pop()) {
            fleet.running[ready.top().second] = 1;
            fleet.offer(ready.top().second);
        }
        while (arrived < tasks && queued[arrived] == at) ++arrived;
        while (head < arrived) {
            const int64_t worker = fleet.lowest();
            if (worker < 0) break;
            if (--fleet.free[static_cast<size_t>(worker)] == 0) fleet.close(static_cast<size_t>(worker));
            const uint32_t leaf = spare.back();
            spare.pop_back();
            worker_of[leaf] = static_cast<uint32_t>(worker);
            started[head] = at;
            tree.set(leaf, ((at + duration[head]) << shift) | leaf);
            ++head;
        }
    }
    const double seconds = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
    std::ofstream(directory + "/started.bin", std::ios::binary)
        .write(reinterpret_cast<const char*>(started.data()), static_cast<std::streamsize>(tasks * 8));
    std::printf("%.9f %ld %lld\n", seconds, peak_kib(), static_cast<long long>(seen));
}
