<?php
// The tests' clock, and their PHP without the intl extension: mc.php asks functions of its own namespace, which PHP
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
