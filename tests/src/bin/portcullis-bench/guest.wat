(module
  ;; Every resource asks its gate; this one keeps the bare engine comparable and only could.
  (import "portcullis:gate/billing@0.1.0" "entry" (func $entry (result i32)))
  ;; As most bodies, it needs a WASI context.
  (import "wasi:random/random@0.2.6" "get-random-u64" (func $random (result i64)))

  (memory (export "memory") 2)
  (global $top (mut i32) (i32.const 1024))

  ;; A heap that every call empties when it is over.
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $top) (i32.const 15)) (i32.const -16)))
    (global.set $top (i32.add (local.get $at) (local.get 3)))
    (if (i32.gt_u (global.get $top) (i32.const 131072)) (then unreachable))
    (local.get $at))

  (func (export "bench:guest/api@1.0.0#add") (param i32 i32) (result i32)
    (i32.add (local.get 0) (local.get 1)))

  (func (export "bench:guest/api@1.0.0#echo") (param i32 i32) (result i32)
    (i32.store (i32.const 0) (local.get 0))
    (i32.store (i32.const 4) (local.get 1))
    (i32.const 0))
  (func (export "cabi_post_bench:guest/api@1.0.0#echo") (param i32)
    (global.set $top (i32.const 1024)))
)
