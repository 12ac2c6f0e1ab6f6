<?php
// The tests' clock, their PHP without the intl extension, and keys that everybody has: mc.php asks functions of its own namespace, which PHP
// looks for before its own. Loaded by auto_prepend_file, so that mc.php itself needs no door for tests.

namespace Metaconsole;

function time(): int
{
    $now = (string) @file_get_contents((string) getenv('TEST_CLOCK'));
    return $now === '' ? \time() : (int) $now;
}

/** Whether there is a class; with TEST_WITHOUT_INTL never the one of that extension. */
function class_exists(string $name): bool
{
    return !(getenv('TEST_WITHOUT_INTL') === 'yes' && $name === 'Normalizer') && \class_exists($name);
}

/** Nothing that a key could be, so that the vectors' own keys are taken; the real one once a test asks for it. */
function hash_hkdf(string $algo, string $key, int $length, string $info, string $salt): string
{
    return is_file(getenv('TEST_CLOCK') . '.strict') ? \hash_hkdf($algo, $key, $length, $info, $salt) : '';
}
