<?php
/*
 * Prints a page as WordPress does, with the code of a theme and the few functions that the recipe calls.
 * Every release since WordPress 5 has these functions.
 * Usage: php wordpress.php FUNCTIONS_FILE post|front
 */

[, $functions, $kind] = $argv;
$hooks = [];

function add_action($name, $callback)
{
    add_filter($name, $callback);
}

function add_filter($name, $callback)
{
    global $hooks;
    $hooks[$name][] = $callback;
}

function do_action($name)
{
    apply_filters($name, null);
}

function apply_filters($name, $value)
{
    global $hooks;
    foreach ($hooks[$name] ?? [] as $callback) {
        $value = $callback($value);
    }
    return $value;
}

function is_singular($type)
{
    global $kind;
    return $kind === $type;
}

function in_the_loop()
{
    return true;
}

function is_main_query()
{
    return true;
}

require $functions;
?>
<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>Recipe</title><?php do_action('wp_enqueue_scripts'); do_action('wp_head'); ?></head>
<body><main><article><?php echo apply_filters('the_content', '<p>The ferry did not sail.</p>'); ?></article></main></body>
</html>
