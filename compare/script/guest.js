// The guest of the benchmarks as a script: the same functions as `guest.wat`.
export const api = {
  add(a, b) {
    return a + b;
  },
  echo(bytes) {
    return bytes;
  },
};
