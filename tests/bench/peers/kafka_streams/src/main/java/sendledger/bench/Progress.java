package sendledger.bench;

import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;

/** When the first record was taken, and when the last one was done. */
final class Progress {
    final AtomicInteger untold = new AtomicInteger();
    final CountDownLatch finished = new CountDownLatch(1);
    private final AtomicLong done = new AtomicLong();
    private final AtomicLong first = new AtomicLong();
    private final long events;
    private volatile boolean begun;
    private volatile long last;

    Progress(long events) {
        this.events = events;
    }

    void begins() {
        if (!begun) {
            first.compareAndSet(0, System.nanoTime());
            begun = true;
        }
    }

    void done() {
        if (done.incrementAndGet() == events) {
            last = System.nanoTime();
            finished.countDown();
        }
    }

    double seconds() {
        return (last - first.get()) / 1e9;
    }
}
